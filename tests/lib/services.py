"""Services from Debian, started in directories of their own and ended by their own pids."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from lib.wait import wait_until

JAVA = """
public class Service {
    static final Object stock = new Object(), ledger = new Object();
    static final java.util.concurrent.CountDownLatch held =
        new java.util.concurrent.CountDownLatch(2);
    static void take(Object first, Object second) {
        synchronized (first) {
            held.countDown();
            try { held.await(); } catch (InterruptedException e) { throw new RuntimeException(e); }
            synchronized (second) { System.out.println("not reached"); }
        }
    }
    public static void main(String[] args) throws Exception {
        new Thread(() -> take(stock, ledger), "inventory").start();
        new Thread(() -> take(ledger, stock), "payments").start();
        held.await();
        System.out.println("ready");
        Thread.sleep(100000000);
    }
}
"""


def wait_output(target, text):
    wait_until(lambda: any(text in line for line in list(target.lines)) or not target.running,
               f"{text!r} from {target.argv[0]}")
    assert target.running, f"{target.argv} ended: {target.lines}"


def redis(targets, directory):
    target = targets.start_argv(
        ["redis-server", "--port", "0", "--unixsocket", f"{directory}/redis.sock", "--save", "",
         "--dir", directory], ready=None)
    wait_output(target, "eady to accept connections")
    return target


def nginx(targets, directory):
    conf = os.path.join(directory, "nginx.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"daemon off; worker_processes 1; pid {directory}/pid; user root;\n"
                   "error_log stderr notice; events {}\n"
                   f"http {{ access_log off; server {{ listen unix:{directory}/sock; }} }}\n")
    target = targets.start_argv([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", directory,
                                 "-e", "stderr", "-c", conf], ready=None)
    wait_output(target, "start worker process ")
    return target


def postgresql_programs():
    return sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]


def postgresql(targets, directory):
    """Refuses to be root, so it runs as the user that its package made."""
    programs = postgresql_programs()
    user = pwd.getpwnam("postgres")
    data = os.path.join(directory, "data")
    os.chown(directory, user.pw_uid, user.pw_gid)
    identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    subprocess.run([f"{programs}/initdb", "-D", data, "-N", "-A", "trust"], check=True,
                   capture_output=True, cwd=directory, **identity)
    target = targets.start_argv([f"{programs}/postgres", "-D", data, "-k", directory,
                                 "-c", "listen_addresses=", "-c", "shared_buffers=16MB"],
                                ready=None, cwd=directory, **identity)
    wait_output(target, "ready to accept connections")
    return target


def jvm(targets, directory):
    with open(os.path.join(directory, "Service.java"), "w", encoding="utf-8") as file:
        file.write(JAVA)
    subprocess.run(["javac", "-d", directory, os.path.join(directory, "Service.java")], check=True)
    return targets.start_argv(["java", "-Xmx64m", "-cp", directory, "Service"])


SERVICES = {"redis": redis, "nginx": nginx, "postgresql": postgresql, "jvm": jvm}


class Service:
    """A context: the service NAME, ended in order so that its children end too."""

    def __init__(self, name, targets):
        self.name, self.targets = name, targets

    def __enter__(self):
        # Not pytest's directory: another user must be able to enter it.
        self.directory = tempfile.mkdtemp(prefix=f"podsnap-{self.name}-")
        try:
            self.target = SERVICES[self.name](self.targets, self.directory)
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        return self.target

    def __exit__(self, *_):
        try:
            # To PostgreSQL a fast shutdown; the others end as by SIGTERM.
            self.target.finish(signal.SIGINT if self.name == "postgresql" else signal.SIGTERM)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
