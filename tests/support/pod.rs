//! A pod of Kubernetes, as far as files go: its volumes with the owners and modes that a kubelet gives them, a root that nobody
//! can write to, and its user without privileges. Bubblewrap makes the room, and for images there is what this machine has.

use std::{
    collections::BTreeMap,
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

/// What the images have of this machine: programs, their libraries, and certificates.
const SYSTEM: [&str; 5] = ["/usr", "/bin", "/lib", "/lib64", "/etc/ssl"];

/// A pod whose containers can be run.
pub struct Pod {
    spec: Value,
    /// Where the files of each volume are, by its name.
    pub volumes: BTreeMap<String, PathBuf>,
    _folder: TempDir,
}

impl Pod {
    /// Of the cron job in a manifest, with the sandbox's credentials as its secret.
    pub fn of_cron_job(manifest: &str) -> Self {
        debian::need("bwrap", "bubblewrap");
        let documents = documents(manifest);
        let of_kind = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
        let spec = of_kind("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone();
        let folder = TempDir::new().unwrap();
        let mut pod = Self { spec, volumes: BTreeMap::new(), _folder: folder };
        for volume in pod.spec["volumes"].as_array().unwrap().clone() {
            let name = volume["name"].as_str().unwrap();
            let path = pod._folder.path().join(name);
            fs::create_dir(&path).unwrap();
            pod.give(&path, 0, 0o2777);
            if let Some(secret) = volume.get("secret") {
                pod.fill(&path, &[("api-key", KEY), ("api-secret", SECRET)], &secret["defaultMode"]);
            } else if let Some(map) = volume.get("configMap") {
                let files = of_kind("ConfigMap")["data"].as_object().unwrap();
                let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str().unwrap())).collect();
                pod.fill(&path, &files, &map["defaultMode"]);
            }
            pod.volumes.insert(name.to_owned(), path);
        }
        pod
    }

    /// Runs the container that comes before the others, with Busybox as its image.
    pub fn initialize(&self) -> Ended {
        debian::need("busybox", "busybox-static");
        let container = &self.spec["initContainers"][0];
        run(self.room(container, &[]).arg("busybox").args(words(&container["command"])))
    }

    /// Runs the container itself, with this program as its image's, and more arguments. A folder of the pod's is at `/data`.
    pub fn run(&self, program: &Path, data: &Path, arguments: &[&str]) -> Ended {
        self.give(data, self.id("runAsUser"), 0o700);
        let container = &self.spec["containers"][0];
        let mut room = self.room(container, &[("--ro-bind", program, "/program"), ("--bind", data, "/data")]);
        run(room.arg("/program").args(words(&container["args"])).args(arguments))
    }

    /// What begins a program where a container's programs run.
    fn room(&self, container: &Value, more: &[(&str, &Path, &str)]) -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-pid", "--cap-add", "ALL", "--proc", "/proc", "--dev", "/dev"]);
        let system = SYSTEM.map(|folder| ("--ro-bind", Path::new(folder), folder));
        let mounts = container["volumeMounts"].as_array().unwrap().iter().map(|mount| {
            let bind = if mount["readOnly"] == true { "--ro-bind" } else { "--bind" };
            let volume = &self.volumes[mount["name"].as_str().unwrap()];
            (bind, volume.as_path(), mount["mountPath"].as_str().unwrap())
        });
        for (bind, path, place) in system.into_iter().chain(mounts).chain(more.iter().copied()) {
            // What Bubblewrap makes on the way by itself is root's alone.
            let parents: Vec<_> =
                Path::new(place).ancestors().skip(1).filter(|folder| *folder != Path::new("/")).collect();
            for parent in parents.into_iter().rev() {
                command.args(["--perms", "0755", "--dir"]).arg(parent);
            }
            command.arg(bind).arg(path).arg(place);
        }
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        command.args([
            "--remount-ro",
            "/",
            "--clearenv",
            "--setenv",
            "PATH",
            "/usr/bin",
            "--",
            "setpriv",
            "--no-new-privs",
        ]);
        let (user, group) = (self.id("runAsUser"), self.id("runAsGroup"));
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
        command.arg(format!("--groups={}", self.id("fsGroup"))).args(["--inh-caps=-all", "--bounding-set=-all"]);
        command
    }

    /// Files as of a secret: links to what lies in a folder that is replaced whole. The pod's group may read them.
    fn fill(&self, volume: &Path, files: &[(&str, &str)], mode: &Value) {
        let mode = u32::try_from(mode.as_u64().unwrap_or(0o644)).unwrap();
        fs::create_dir(volume.join("..2026")).unwrap();
        self.give(&volume.join("..2026"), 0, 0o2755);
        symlink("..2026", volume.join("..data")).unwrap();
        for (name, text) in files {
            let file = volume.join("..2026").join(name);
            fs::write(&file, text).unwrap();
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

fn words(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap())
}

/// The documents of a file in YAML.
pub fn documents(text: &str) -> Vec<Value> {
    let convert = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
    let mut command = Command::new(python::of_packaging());
    let mut child = command.args(["-c", convert]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}
