//! The part of a cast that one of many machines looks at, as the engine that started it says.

use std::str::FromStr;

use crate::cast::Character;
use crate::util::sha256::sha256;

/// A shard: its index, from 0, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    index: u64,
    count: u64,
}

/// As it is typed: `3/8`, or `auto` for what the engine tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardArgument {
    index: Option<u64>,
    count: Option<u64>,
}

/// The text is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write I/N, with I from 0 to N-1, such as 0/8; auto/8 or auto for what Kubernetes, AWS Batch or Slurm tell"
)]
pub struct ParseShardError;

/// Pairs of variables by which engines tell a task its index and how many tasks there are, and the lowest index.
///
/// Kubernetes (Indexed Job) tells no number of tasks. Slurm's arrays may begin anywhere, at 0 as a rule.
const ENGINES: [(&str, Option<&str>, Option<&str>); 3] = [
    (
        "AWS_BATCH_JOB_ARRAY_INDEX",
        Some("AWS_BATCH_JOB_ARRAY_SIZE"),
        None,
    ),
    (
        "SLURM_ARRAY_TASK_ID",
        Some("SLURM_ARRAY_TASK_COUNT"),
        Some("SLURM_ARRAY_TASK_MIN"),
    ),
    ("JOB_COMPLETION_INDEX", None, None),
];

impl FromStr for ShardArgument {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        let part = |text: &str| match text {
            "auto" => Ok(None),
            number => number.parse().map(Some).map_err(|_| ParseShardError),
        };
        let (index, count) = match text.split_once('/') {
            Some((index, count)) => (part(index)?, part(count)?),
            None if text == "auto" => (None, None),
            None => return Err(ParseShardError),
        };
        match (index, count) {
            (_, Some(0)) => Err(ParseShardError),
            (Some(index), Some(count)) if index >= count => Err(ParseShardError),
            _ => Ok(Self { index, count }),
        }
    }
}

impl ShardArgument {
    /// The shard, with what is left out taken from the engine's variables.
    ///
    /// # Errors
    /// A message for the user: no engine tells it, or it tells what can't be.
    pub(crate) fn resolve(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Shard, String> {
        let number = |name: &str| variable(name).and_then(|text| text.parse::<u64>().ok());
        let engine = ENGINES.iter().find(|(index, ..)| number(index).is_some());
        let known = engine.map(|(index, count, least)| {
            let least = least.and_then(number).unwrap_or_default();
            let index = number(index).unwrap_or_default();
            (index.saturating_sub(least), count.and_then(number))
        });
        let index = self.index.or(known.map(|(index, _)| index)).ok_or(
            "--shard auto: no engine tells the index of this task (JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX or \
             SLURM_ARRAY_TASK_ID); write it, as in --shard 0/8",
        )?;
        let count = self.count.or(known.and_then(|(_, count)| count)).ok_or(
            "--shard auto: the engine does not tell how many tasks there are; write it, as in --shard auto/8",
        )?;
        match index < count {
            true => Ok(Shard { index, count }),
            false => Err(format!(
                "--shard {index}/{count}: the index goes from 0 to {}",
                count.saturating_sub(1)
            )),
        }
    }
}

impl Shard {
    /// Whether a character is in this shard. Characters that share an image are in one.
    pub(crate) fn has(self, character: &Character) -> bool {
        let digest = sha256(character.source.given().as_bytes());
        let first = digest.first_chunk().expect("a SHA-256 has 32 bytes");
        u64::from_le_bytes(*first) % self.count == self.index
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str, environment: &[(&str, &str)]) -> Result<String, String> {
        let argument: ShardArgument = text.parse().map_err(|error: ParseShardError| error.to_string())?;
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        argument.resolve(&variable).map(|shard| shard.to_string())
    }

    #[test]
    fn an_engine_tells_what_is_left_out() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "5"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
            ("SLURM_ARRAY_TASK_MIN", "3"),
        ];
        let batch = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", "7"),
            ("AWS_BATCH_JOB_ARRAY_SIZE", "8"),
        ];
        let kubernetes = [("JOB_COMPLETION_INDEX", "1")];
        assert_eq!(shard("2/8", &slurm).unwrap(), "2/8");
        assert_eq!(shard("auto", &slurm).unwrap(), "2/4");
        assert_eq!(shard("auto", &batch).unwrap(), "7/8");
        assert_eq!(shard("auto/3", &kubernetes).unwrap(), "1/3");
        for (text, environment) in [
            ("auto", &kubernetes[..]),
            ("auto/1", &kubernetes),
            ("auto/8", &[]),
            ("8/8", &[]),
            ("0/0", &[]),
            ("one", &[]),
            ("1", &[]),
        ] {
            shard(text, environment).unwrap_err();
        }
    }
}
