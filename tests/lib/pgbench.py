"""PostgreSQL's own load: bank transfers whose sums must be right at the end."""

import os
import re
import subprocess

from lib.services import postgresql_programs

SCALE = 5


class Run:
    """pgbench while it runs: sessions that last, and some that are a new one for each transaction,
    so that the server forks all the time."""

    def __init__(self, bench, seconds):
        common = ["-n", "-T", str(seconds)]
        self.running = [bench.start(*common, "-c", "8", "-j", "2", name="lasting"),
                        bench.start(*common, "-c", "2", "-C", name="short")]

    def is_running(self):
        return all(process.poll() is None for process in self.running)

    def finish(self):
        """Waits for its end; returns (transactions, transactions a second) of both together."""
        count, rate = 0, 0.0
        for process in self.running:
            text = process.communicate(timeout=300)[0]
            assert process.returncode == 0, text
            assert not re.search("error|fatal|abort", text, re.I), text
            assert "number of failed transactions: 0 (0.000%)" in text, text
            count += int(re.search(r"^number of transactions actually processed: (\d+)", text,
                                   re.M)[1])
            rate += float(re.search(r"^tps = ([\d.]+)", text, re.M)[1])
        return count, rate

    def kill(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()


class Pgbench:
    """The database of pgbench in a server whose socket is in `directory`."""

    def __init__(self, directory):
        self.programs = postgresql_programs()
        self.where = ["-h", directory, "-U", "postgres"]
        done = self.start("-i", "-q", "-s", str(SCALE), name="init")
        text = done.communicate(timeout=120)[0]
        assert done.returncode == 0, text
        self.count = 0
        self.run = None

    def start(self, *args, name):
        # Without waiting for the disk: the load shall be on the processes.
        env = {**os.environ, "PGAPPNAME": name, "PGOPTIONS": "-c synchronous_commit=off",
               "LC_ALL": "C.UTF-8"}
        return subprocess.Popen([f"{self.programs}/pgbench", *self.where, *args, "postgres"],
                                env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def query(self, statement):
        """The fields of its rows."""
        done = subprocess.run([f"{self.programs}/psql", *self.where, "-XAt", "-c", statement,
                               "postgres"], capture_output=True, text=True, check=True, timeout=60)
        return [line.split("|") for line in done.stdout.splitlines()]

    def load(self, seconds, meanwhile=None):
        """A run of pgbench, and meanwhile() again and again as long as it lasts; returns its
        transactions a second."""
        self.run = Run(self, seconds)
        while meanwhile and self.run.is_running():
            meanwhile()
        count, rate = self.run.finish()
        self.count += count
        return rate

    def backends(self):
        """The pids of those that are in a transaction and stay."""
        return [int(pid) for pid, in self.query(
            "select pid from pg_stat_activity where application_name = 'lasting' "
            "and xact_start is not null")]

    def check(self):
        """No transfer was lost, doubled or done in part."""
        sums, = self.query(
            "select (select sum(abalance) from pgbench_accounts),"
            "(select sum(bbalance) from pgbench_branches),"
            "(select sum(tbalance) from pgbench_tellers),"
            "(select coalesce(sum(delta), 0) from pgbench_history),"
            "(select count(*) from pgbench_history)")
        assert len(set(sums[:4])) == 1, sums
        assert int(sums[4]) == self.count

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.run:
            self.run.kill()
