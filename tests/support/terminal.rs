//! A terminal of some size, as tmux emulates it, and what is seen in it.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{debian, program::secret_forms};

/// No command of the tests takes a third of this.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A terminal in which a command runs. It goes with everything in it when it is dropped.
pub struct Terminal {
    folder: TempDir,
}

impl Terminal {
    /// Starts a command in a terminal of so many columns, of which a shell may redirect something. Behind it comes a line that
    /// says `ended` and its exit code.
    pub fn start(columns: u16, command: &Command, redirections: &str) -> Self {
        debian::need("tmux", "tmux");
        let terminal = Self { folder: TempDir::new().unwrap() };
        let path = |name: &str| terminal.folder.path().join(name).display().to_string();
        let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let environment = environment.map(|(name, value)| format!("{}={}", name.display(), value.display()));
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let words = environment.chain(words.map(|word| word.display().to_string()));
        let words: Vec<_> = words.map(|word| format!("'{word}'")).collect();
        let folder = command.get_current_dir().unwrap().display();
        // It waits until all that is written to the terminal is recorded, and goes on when the command is interrupted.
        let script = format!(
            "read -r go\ntrap : INT\ncd '{folder}'\nenv -i TERM=\"$TERM\" {} {redirections}\necho \"ended $?\"\nsleep 600\n",
            words.join(" ")
        );
        fs::write(path("script"), script).unwrap();
        let size = ["-x", &columns.to_string(), "-y", "24"];
        terminal.tmux(&[&["new-session", "-d"], &size[..], &["sh", &path("script")]].concat());
        terminal.tmux(&["pipe-pane", "-O", &format!("cat > '{}'", path("written"))]);
        terminal.press("Enter");
        terminal
    }

    /// Presses a key, as `C-c`.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What is seen at present, with all that was seen above, without empty lines.
    pub fn lines(&self) -> Vec<String> {
        let screen = self.tmux(&["capture-pane", "-p", "-S", "-"]);
        screen.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// What is seen once this holds of it.
    #[track_caller]
    pub fn lines_once(&self, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + TIME_MAX;
        loop {
            let lines = self.lines();
            if holds(&lines) {
                return lines;
            }
            assert!(Instant::now() < deadline, "it is not seen:\n{}", lines.join("\n"));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What is seen when the command has ended, with that line at the end.
    #[track_caller]
    pub fn lines_in_the_end(&self) -> Vec<String> {
        let lines = self.lines_once(|lines| lines.last().is_some_and(|line| line.starts_with("ended ")));
        let written = self.written();
        assert!(secret_forms().iter().all(|secret| !written.contains(secret)), "{written}");
        lines
    }

    /// All that was written to the terminal so far, as it was written.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("written")).unwrap()).into_owned()
    }

    #[track_caller]
    fn tmux(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.folder.path().join("socket")).args(["-f", "/dev/null"]).args(words);
        command
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A server that has ended cannot be killed.
        let _ = self.command(&["kill-server"]).output();
    }
}
