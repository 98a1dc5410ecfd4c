//! A writer that no reader can hold up: a thread of its own writes, and whoever has something to say goes on.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::JoinHandle;

/// What the thread does next.
enum Job {
    Write(Vec<u8>),
    /// Everything so far is written: tell so.
    Tell(SyncSender<()>),
}

/// Writes to `W` from a thread of its own, in order. What a slow reader has not taken yet is kept in memory. Dropping it
/// waits until everything is written.
pub struct Detached {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Detached {
    /// Starts the thread.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || write_all(out, &queue));
        Self {
            jobs: Some(jobs),
            thread: thread.ok(),
        }
    }

    /// Waits until everything is written, or the reader is gone.
    pub fn wait(&self) {
        let (done, is_done) = mpsc::sync_channel(1);
        if let Some(jobs) = &self.jobs
            && jobs.send(Job::Tell(done)).is_ok()
        {
            let _ = is_done.recv();
        }
    }
}

impl Write for Detached {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job::Write(bytes.to_owned())).map_err(|_| gone())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_all(mut out: impl Write, queue: &Receiver<Job>) -> io::Result<()> {
    for job in queue {
        match job {
            Job::Write(bytes) => out.write_all(&bytes).and_then(|()| out.flush())?,
            Job::Tell(done) => _ = done.send(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    /// Takes 20 ms for each write.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(20));
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_slow_reader_and_nothing_is_lost() {
        let slow = Slow::default();
        let mut out = Detached::new(slow.clone());
        for line in 0..10 {
            out.write_all(format!("{line}").as_bytes()).unwrap();
        }
        assert!(
            slow.0.lock().unwrap().len() < 10,
            "it goes on before all is written"
        );
        out.wait();
        assert_eq!(slow.0.lock().unwrap().as_slice(), b"0123456789");
        out.write_all(b"!").unwrap();
        drop(out);
        assert_eq!(slow.0.lock().unwrap().last(), Some(&b'!'));
    }

    #[test]
    fn a_reader_that_is_gone_is_told() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut out = Detached::new(Gone);
        let _ = out.write_all(b"x");
        out.wait();
        assert_eq!(out.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
