//! The files for engines in `config/`: Slurm's and OpenJD's are really run, the others are checked with the engines' own schemas.

use std::path::{Path, PathBuf};

use super::shards::looked_at;
use super::*;
use crate::support::postgres::shared;

fn config(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(path)
}

/// A program beside the tests' Python; `None` where it is not installed, which CI must have.
fn python_tool(name: &str) -> Option<PathBuf> {
    let python = std::env::var("CASTLINE_TEST_PYTHON").unwrap_or_default();
    let tool = Path::new(&python).with_file_name(name);
    let found = tool.is_file();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "CI needs {name} beside CASTLINE_TEST_PYTHON"
    );
    found.then_some(tool)
}

/// `PATH` with the castline of these tests in front.
fn path() -> std::ffi::OsString {
    let castline = Path::new(crate::support::server::BINARY).parent().unwrap();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(castline.to_owned()).chain(std::env::split_paths(&rest))).unwrap()
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", stderr(&output));
    text
}

#[test]
fn the_jobs_for_kubernetes_are_as_its_schema_says() {
    let Some(tool) = python_tool("kubernetes-validate") else {
        return;
    };
    let file = config("kubernetes/cast.yaml");
    let validate = |file: &Path| {
        let mut command = Command::new(&tool);
        command.args(["-k", "1.30", "--strict"]).arg(file);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
    };
    let said = validate(&file);
    assert_eq!(said.matches("passed for resource").count(), 2, "{said}");
    assert!(!said.contains("ERROR"), "{said}");
    // It would say so.
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(&wrong, text.replace("completions: 8", "completions: eight")).unwrap();
    assert!(validate(&wrong).contains("ERROR"));
}

#[test]
fn the_definitions_for_aws_batch_are_as_its_model_says() {
    let Some(python) = python_tool("python") else {
        return;
    };
    let check = r#"
import json, sys, botocore.session, botocore.validate
service = botocore.session.get_session().get_service_model("batch")
shape = service.operation_model("RegisterJobDefinition").input_shape
for file in sys.argv[1:]:
    found = botocore.validate.ParamValidator().validate(json.load(open(file)), shape)
    if found.has_errors():
        sys.exit(f"{file}: {found.generate_report()}")
print("ok")
"#;
    let mut command = Command::new(python);
    command.args(["-c", check]);
    command.args(["check", "run"].map(|name| config(&format!("aws-batch/{name}.json"))));
    assert_eq!(succeeds(&mut command).trim(), "ok");
}

#[test]
fn a_render_farm_looks_in_parts_and_pays_once() {
    let (Some(openjd), Some(postgres)) = (python_tool("openjd"), shared()) else {
        return;
    };
    let mut server = Server::start(&[]);
    let schema = server.keep_ledger_in(postgres);
    let cast = looked_at(&server, 12);
    let template = config("openjd/cast.yaml");
    succeeds(Command::new(&openjd).arg("check").arg(&template));
    for step in ["Check", "Run"] {
        let mut run = Command::new(&openjd);
        run.arg("run").arg(&template).args(["--step", step, "-p"]);
        run.arg(format!("Cast={}", cast.csv.display()));
        let environment = server.settings().iter().map(|(name, text)| (name, text));
        println!("{}", succeeds(run.envs(environment).env("PATH", path())));
        let seen = postgres.sql(&format!("SELECT count(*) FROM {schema}.inspections"));
        assert_eq!(seen, "12", "after {step}");
    }
    cast.assert_promises(&server, Some(0));
    assert_eq!(server.charges().len(), 12);
}

/// Slurm with four nodes on loopback, in the foreground, gone with this value.
struct Cluster {
    folder: tempfile::TempDir,
    processes: Vec<Child>,
}

impl Cluster {
    /// Starts one; `None` where Slurm is not installed, which CI must have.
    fn start() -> Option<Self> {
        let has = |name: &str| {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&paths).any(|folder| folder.join(name).is_file())
        };
        if !has("slurmctld") || !has("munged") {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs Debian's packages slurm-wlm and munge"
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["state", "munge"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let key: Vec<u8> = (0..1024u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        std::fs::write(at("munge/key"), key).unwrap();
        for private in ["munge/key", "munge"] {
            let mode = if private == "munge" { 0o700 } else { 0o600 };
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(at(private), mode).unwrap();
        }
        let port = || {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let [host, user] = ["hostname", "id"].map(|name| {
            let mut command = Command::new(name);
            command.args(if name == "id" { &["-un"][..] } else { &["-s"] });
            succeeds(&mut command).trim().to_owned()
        });
        let nodes: String = (1..=4)
            .map(|n| {
                format!(
                    "NodeName=n{n} NodeHostname={host} NodeAddr=127.0.0.1 Port={} CPUs=1\n",
                    port()
                )
            })
            .collect();
        let configuration = format!(
            "ClusterName=castline\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser={user}\nSlurmdUser={user}\n\
             SlurmctldPort={ctld}\nAuthType=auth/munge\nAuthInfo=socket={socket}\nCredType=cred/munge\n\
             CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\nStateSaveLocation={state}\n\
             SlurmdSpoolDir={spool}.%n\nSlurmctldPidFile={ctld_pid}\nSlurmdPidFile={pid}.%n\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\nMailProg=/bin/true\n\
             SchedulerParameters=batch_sched_delay=0,sched_min_interval=0\nRequeueExit=75\n\
             PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\nSlurmdTimeout=5\nKillWait=5\nReturnToService=2\n\
             {nodes}PartitionName=low Nodes=n[1-4] Default=YES PriorityTier=1 GraceTime=5\n\
             PartitionName=high Nodes=n[1-4] PriorityTier=10\n",
            ctld = port(),
            socket = at("munge/socket"),
            state = at("state"),
            spool = at("spool"),
            ctld_pid = at("ctld.pid"),
            pid = at("d.pid"),
        );
        std::fs::write(at("slurm.conf"), configuration).unwrap();
        let mut cluster = Self {
            processes: Vec::new(),
            folder,
        };
        cluster.spawn(
            "munged",
            &["--foreground", "--force", "--num-threads=2"],
            &[
                ("--key-file", "munge/key"),
                ("--socket", "munge/socket"),
                ("--pid-file", "munge/pid"),
                ("--log-file", "munge/log"),
                ("--seed-file", "munge/seed"),
            ],
        );
        cluster.spawn("slurmctld", &["-D", "-c"], &[]);
        for node in ["n1", "n2", "n3", "n4"] {
            cluster.spawn("slurmd", &["-D", "-N", node], &[]);
        }
        let start = Instant::now();
        while cluster
            .ask("sinfo", &["-h", "-N", "-p", "low", "-t", "idle"])
            .lines()
            .count()
            < 4
        {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{}",
                cluster.ask("sinfo", &["-N"])
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(cluster)
    }

    fn spawn(&mut self, name: &str, args: &[&str], files: &[(&str, &str)]) {
        let mut command = Command::new(name);
        command
            .args(args)
            .env("SLURM_CONF", self.folder.path().join("slurm.conf"));
        for (option, file) in files {
            command.arg(format!("{option}={}", self.folder.path().join(file).display()));
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.processes.push(command.spawn().unwrap());
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env("SLURM_CONF", self.folder.path().join("slurm.conf"))
            .current_dir(self.folder.path());
        command
    }

    /// What a command of Slurm's says; nothing while its controller is busy.
    fn ask(&self, name: &str, args: &[&str]) -> String {
        let output = self.command(name).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Submits a script of `config/slurm`; the number of its job.
    fn submit(&self, script: &str, options: &[&str], server: &Server, cast: &SmallCast) -> String {
        let mut sbatch = self.command("sbatch");
        sbatch.arg("--parsable").args(options);
        sbatch.arg(config("slurm").join(script)).arg(&cast.csv);
        let environment = server.settings().iter().map(|(name, text)| (name, text));
        succeeds(sbatch.envs(environment).env("PATH", path()))
            .trim()
            .to_owned()
    }

    /// The processes of a node's tasks, with Slurm's daemons for them.
    fn tasks_of(node: usize) -> Vec<u32> {
        let name = format!("SLURMD_NODENAME=n{node}");
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|pid| pid.parse::<u32>().ok()) else {
                continue;
            };
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment
                .split(|byte| *byte == 0)
                .all(|variable| variable != name.as_bytes())
            {
                continue;
            }
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let parent = status
                .lines()
                .find_map(|line| line.strip_prefix("PPid:\t")?.parse::<u32>().ok());
            found.extend(parent.filter(|pid| name_of(*pid).starts_with("slurmstepd")));
            found.push(pid);
        }
        found
    }

    /// Kills a node as if its power were cut: nothing of it can say what becomes of its tasks.
    fn kill(&mut self, node: usize) {
        // Behind munged and slurmctld.
        let daemon = self.processes[1 + node].id();
        for signal in ["-STOP", "-STOP", "-KILL"] {
            for pid in std::iter::once(daemon).chain(Self::tasks_of(node)) {
                let mut kill = Command::new("kill");
                let _ = kill
                    .args([signal, &pid.to_string()])
                    .stderr(Stdio::null())
                    .status();
            }
        }
        self.processes[1 + node].wait().unwrap();
    }

    /// The log of each task of a job.
    fn logs(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        let logs = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "log"));
        let mut texts: Vec<String> = logs
            .map(|file| {
                let name = file.file_name().to_string_lossy().into_owned();
                format!(
                    "{name}: {}",
                    std::fs::read_to_string(file.path()).unwrap_or_default()
                )
            })
            .collect();
        texts.sort();
        texts.join("\n")
    }
}

/// The name of a process.
fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.ask("scancel", &["--state=RUNNING", "--user=root"]);
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Eight shards on four nodes; one is preempted, one node is killed; then one run. Everybody is charged once, nobody is in doubt.
#[test]
fn slurm_looks_in_parts_through_a_preemption_and_a_dead_node_and_pays_once() {
    let Some(postgres) = shared() else { return };
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let mut server = Server::start(&[]);
    let schema = server.keep_ledger_in(postgres);
    let cast = looked_at(&server, 400);
    let seen = || -> usize {
        // The first shard makes the tables.
        let exists = format!("SELECT to_regclass('{schema}.inspections') IS NULL");
        if postgres.sql(&exists) == "t" {
            return 0;
        }
        let count = format!("SELECT count(*) FROM {schema}.inspections");
        postgres.sql(&count).parse().unwrap()
    };
    let job = cluster.submit("check.sbatch", &["--array=0-7"], &server, &cast);
    let wait = |what: &str, done: &mut dyn FnMut() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(150), "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let running = |cluster: &Cluster| cluster.ask("squeue", &["-h", "-t", "R", "-j", &job, "-o", "%N"]);
    wait("nothing runs", &mut || running(&cluster).lines().count() >= 3);
    // Slurm lets what it starts again wait for two minutes.
    let start_waiting = |cluster: &Cluster| {
        let waiting = cluster.ask("squeue", &["-h", "-t", "PD", "-r", "-j", &job, "-o", "%A"]);
        for id in waiting.lines() {
            cluster.ask("scontrol", &["update", &format!("jobid={id}"), "StartTime=now"]);
        }
    };
    let restarts = |cluster: &Cluster| -> u32 {
        let tasks = cluster.ask("scontrol", &["show", "job", &job]);
        let counts = tasks.split("Restarts=").skip(1);
        counts
            .filter_map(|rest| rest.split_whitespace().next()?.parse::<u32>().ok())
            .sum()
    };
    let urgent = [
        "--parsable",
        "--partition=high",
        "--nodes=4",
        "--output=/dev/null",
        "--wrap",
        "sleep 60",
    ];
    let urgent = cluster.ask("sbatch", &urgent).trim().to_owned();
    wait("nobody is preempted", &mut || restarts(&cluster) > 0);
    let preempted = restarts(&cluster);
    cluster.ask("scancel", &[&urgent]);
    wait("nothing runs on the node to kill", &mut || {
        start_waiting(&cluster);
        Cluster::tasks_of(2)
            .into_iter()
            .any(|pid| name_of(pid).starts_with("castline"))
    });
    cluster.kill(2);
    println!("{} of 400 were seen when the node died", seen());
    wait("the shards do not end", &mut || {
        start_waiting(&cluster);
        cluster.ask("squeue", &["-h", "-j", &job]).trim().is_empty()
    });
    let logs = cluster.logs();
    println!("{logs}");
    assert_eq!(seen(), 400);
    let again = restarts(&cluster);
    println!("{preempted} preempted, {again} started again in all");
    assert!(preempted > 0 && again > preempted, "one died with its node");

    server.set("CASTLINE_API_RATE", "500/s");
    let run = cluster.submit("run.sbatch", &[], &server, &cast);
    wait("the run does not end", &mut || {
        cluster.ask("squeue", &["-h", "-j", &run]).trim().is_empty()
    });
    println!("{}", cluster.logs());
    cast.assert_promises(&server, Some(0));
    assert_eq!((server.charges().len(), seen()), (400, 400));
    assert!(cast.in_state("in_doubt").is_empty());
}
