//! A pod of Kubernetes, as far as its files go: volumes with the owners and modes that a kubelet gives them, and containers
//! whose programs run as the pod's user, without privileges. Nothing is mounted, which not every machine allows: where words
//! and files name a path at which a container would have a volume, they are made to name the volume.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    debian,
    program::{Ended, KEY, SECRET, run},
    python,
};

/// A pod whose containers can be run.
pub struct Pod {
    spec: Value,
    folder: TempDir,
}

impl Pod {
    /// Of the cron job in a manifest, with the sandbox's credentials as its secret.
    pub fn of_cron_job(manifest: &str) -> Self {
        let documents = documents(manifest);
        let of_kind = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
        let spec = of_kind("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone();
        let pod = Self { spec, folder: TempDir::new().unwrap() };
        fs::set_permissions(pod.folder.path(), Permissions::from_mode(0o755)).unwrap();
        for volume in list(&pod.spec["volumes"]) {
            let path = pod.volume(&volume["name"]);
            fs::create_dir(&path).unwrap();
            pod.give(&path, 0, 0o2777);
            if let Some(secret) = volume.get("secret") {
                pod.fill(&path, [("api-key", KEY), ("api-secret", SECRET)], &secret["defaultMode"]);
            } else if let Some(map) = volume.get("configMap") {
                let files = of_kind("ConfigMap")["data"].as_object().unwrap();
                let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str().unwrap()));
                pod.fill(&path, files, &map["defaultMode"]);
            }
        }
        pod
    }

    /// Runs the container that comes before the others, with Busybox as its image.
    pub fn initialize(&self) -> Ended {
        debian::need("busybox", "busybox-static");
        let image = self.image("busybox");
        let installed = run(Command::new("busybox").args(["--install", "-s"]).arg(&image));
        assert_eq!(installed.code, Some(0), "{}", installed.stderr);
        let words = list(&self.spec["initContainers"][0]["command"]).iter().map(|word| self.placed(text(word)));
        run(self.of_its_user().env("PATH", image).args(words))
    }

    /// Runs the container itself, with this program as its image's, and more arguments. The folder becomes its user's.
    pub fn run(&self, program: &Path, folder: &Path, arguments: &[&str]) -> Ended {
        self.give(folder, self.id("runAsUser"), 0o700);
        // Where it was built, perhaps nobody but root may go.
        let image = self.image("program");
        fs::copy(program, image.join("program")).unwrap();
        let words = list(&self.spec["containers"][0]["args"]).iter().map(|word| self.placed(text(word)));
        run(self.of_its_user().arg(image.join("program")).args(words).args(arguments))
    }

    /// A folder for an image's programs.
    fn image(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("images").join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Where the files of a volume are.
    fn volume(&self, name: &Value) -> PathBuf {
        self.folder.path().join(text(name))
    }

    /// A text that names the volumes where it names what they are mounted at.
    fn placed(&self, text_of_container: &str) -> String {
        let containers = ["initContainers", "containers"].into_iter().flat_map(|kind| list(&self.spec[kind]));
        let mounts = containers.flat_map(|container| list(&container["volumeMounts"]));
        mounts.fold(text_of_container.to_owned(), |placed, mount| {
            placed.replace(text(&mount["mountPath"]), self.volume(&mount["name"]).to_str().unwrap())
        })
    }

    /// What begins a program as the pod's user.
    fn of_its_user(&self) -> Command {
        let mut command = Command::new("/usr/bin/setpriv");
        let ids = [("reuid", "runAsUser"), ("regid", "runAsGroup"), ("groups", "fsGroup")];
        command.args(ids.map(|(flag, name)| format!("--{flag}={}", self.id(name))));
        command.args(["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]);
        command.env_clear().current_dir("/");
        command
    }

    /// Files as of a secret: links to what lies in a folder that is replaced whole. The pod's group may read them.
    fn fill<'f>(&self, volume: &Path, files: impl IntoIterator<Item = (&'f str, &'f str)>, mode: &Value) {
        let mode = u32::try_from(mode.as_u64().unwrap_or(0o644)).unwrap();
        fs::create_dir(volume.join("..2026")).unwrap();
        self.give(&volume.join("..2026"), 0, 0o2755);
        symlink("..2026", volume.join("..data")).unwrap();
        for (name, text) in files {
            let file = volume.join("..2026").join(name);
            fs::write(&file, self.placed(text)).unwrap();
            self.give(&file, 0, mode | 0o440);
            symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
        }
    }

    /// Makes what is at a path an owner's, and the pod's group's.
    fn give(&self, path: &Path, owner: u32, mode: u32) {
        chown(path, Some(owner), Some(self.id("fsGroup"))).expect("the tests run as root");
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn id(&self, name: &str) -> u32 {
        self.spec["securityContext"][name].as_u64().and_then(|id| id.try_into().ok()).unwrap()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The documents of a file in YAML.
pub fn documents(text: &str) -> Vec<Value> {
    let convert = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
    let mut command = Command::new(python::of_packaging());
    let mut child = command.args(["-c", convert]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}
