#!/usr/bin/env python3
"""A node of this crate is killed, and stopped, and starts again with its data directory, while a go peer stays.

After the kill it must be in the mesh within two heartbeats after it is connected. After the stop it must send no GRAFT before
the backoff of its PRUNE has ended, and be in the mesh within two heartbeats after. At no time may the go peer penalise it.

    tests/peers/build.sh
    tests/peers/data_dir.py

It exits with 1 if one of these is not so.
"""
import json, pathlib, subprocess, sys, tempfile, threading, time, urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOPIC = "restart"
HEARTBEAT = 0.5
BACKOFF = 4.0
# What the processes and the polls may be late, in seconds.
TOLERANCE = 0.3


class Process:
    """A process that writes one JSON object a line."""

    def __init__(self, command):
        self.events, self.changed = [], threading.Condition()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append((time.monotonic(), json.loads(line)))
                self.changed.notify_all()

    def until(self, event):
        """The first event of this name, and when it came."""
        with self.changed:
            found = lambda: next((it for it in self.events if it[1].get("event") == event), None)
            if not self.changed.wait_for(found, 20):
                sys.exit(f"no {event} within 20 s: {self.events}")
            return found()

    def penalty_of(self, peer):
        """The highest behaviour penalty (P7) that the go peer has reported of this peer, and the number of reports."""
        with self.changed:
            scores = [event["scores"] for _, event in self.events if event.get("event") == "scores"]
        reports = [of_all[peer]["behaviour_penalty"] for of_all in scores if peer in of_all]
        return max(reports, default=0), len(reports)


class Node(Process):
    def __init__(self, folder, *flags):
        super().__init__([str(ROOT / "target/debug/actix-gossipsub"), "node", "--json", "--topic", TOPIC,
                          "--heartbeat-ms", str(int(HEARTBEAT * 1000)), "--addresses", "loopback", "--data-dir", folder,
                          "--set", f"limits.unsubscribe_backoff={BACKOFF}s".replace(".0s", "s"), "--http", "127.0.0.1:0",
                          *flags])
        self.id = self.until("listening")[1]["peer_id"]
        self.url = self.until("serving")[1]["url"]

    def until_meshed(self, peer):
        """When the peer is in the mesh."""
        for _ in range(2000):
            with urllib.request.urlopen(self.url + "p2p/gossipsub/mesh") as answer:
                if peer in answer.read().decode():
                    return time.monotonic()
            time.sleep(0.01)
        sys.exit(f"{peer} is not in the mesh within 20 s")


def check(what, ok):
    print(("ok      " if ok else "FAILED  ") + what)
    return ok


def run(go, folder):
    address, peer = go.until("listening")[1]["addr"], go.until("listening")[1]["peer_id"]
    if "/p2p/" not in address:
        address += "/p2p/" + peer
    first = Node(folder, "--dial", address)
    first.until_meshed(peer)
    stored = pathlib.Path(folder, "peers.json")
    while not (stored.exists() and peer in stored.read_text()):
        time.sleep(0.1)
    first.process.kill()
    first.process.wait()
    second = Node(folder)
    meshed = second.until_meshed(peer)
    time_to_mesh = meshed - second.until("connected")[0]
    ok = check(f"after a kill: in the mesh {time_to_mesh:.2f} s after the connection, two heartbeats are {2 * HEARTBEAT} s",
               time_to_mesh <= 2 * HEARTBEAT + TOLERANCE)
    # The PRUNE is sent between these two times.
    begin = time.monotonic()
    second.process.terminate()
    second.process.wait()
    end = time.monotonic()
    third = Node(folder)
    third.until("connected")
    meshed = third.until_meshed(peer)
    ok &= check(f"after a stop: in the mesh after {meshed - end:.2f} s, the backoff is {BACKOFF} s",
                meshed - begin >= BACKOFF and meshed - end <= BACKOFF + 2 * HEARTBEAT + TOLERANCE)
    # The go peer would prune it at once if it were not in its mesh.
    time.sleep(2 * HEARTBEAT)
    third.until_meshed(peer)
    penalty, reports = go.penalty_of(third.id)
    ok &= check(f"the go peer never penalised it: {penalty} in {reports} reports", penalty == 0 and reports > 0)
    third.process.terminate()
    third.process.wait()
    return ok


def main():
    go = Process([str(HERE / "go-peer/go-peer"), "--listen", "/ip4/127.0.0.1/tcp/0", "--topic", TOPIC, "--seconds", "120",
                  "--heartbeat-ms", str(int(HEARTBEAT * 1000)), "--scoring", "on", "--score-ms", "100", "--json"])
    with tempfile.TemporaryDirectory() as folder:
        try:
            sys.exit(0 if run(go, folder) else 1)
        finally:
            go.process.kill()
            go.process.wait()


if __name__ == "__main__":
    main()
