#!/usr/bin/env python3
"""A star of nodes of several implementations connects its leaves by peer exchange, and survives its centre.

The centre is a node of this crate that accepts nobody into its mesh. It recommends the leaves to each other in its PRUNEs,
with their signed records. When each leaf is connected to three others, the centre is killed; then each leaf publishes a
message, and each other leaf must receive it.

    tests/peers/build.sh
    tests/peers/star.py [--ours 7] [--go 6] [--js 6]

It exits with 1 if a leaf stays alone or a message is missing.
"""
import argparse, json, pathlib, subprocess, sys, tempfile, threading, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOPIC = "star"
HEARTBEAT_MS = 250
# From the first subscriber of a leaf to its message. The leaves must have found each other by then.
SETTLE_MS = 30_000
LIMITS = 'heartbeat_interval = "250ms"\nprune_backoff = "1s"\nbackoff_cleanup_ticks = 1\naccept_px_threshold = 0.0\n'
CENTRE = LIMITS + """do_px = true
degree_optimal = 0
degree_low = 0
degree_high = 0
degree_score = 0
degree_out = 0
"""


class Peer:
    """A process that writes one JSON object a line."""

    def __init__(self, name, command):
        self.name, self.peer_id, self.address = name, None, None
        self.connected, self.messages = set(), set()
        self.ready = threading.Event()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            kind = event.get("event")
            if kind == "listening" and self.address is None:
                self.peer_id, self.address = event["peer_id"], event["addr"]
                if "/p2p/" not in self.address:
                    self.address += "/p2p/" + self.peer_id
                self.ready.set()
            elif kind == "connected":
                self.connected.add(event["peer"])
            elif kind == "disconnected" and not event.get("remaining"):
                self.connected.discard(event["peer"])
            elif kind == "message":
                self.messages.add(event["data_sha256"])

    def publish(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()


def until(what, condition, seconds, describe):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            print(f"not true within {seconds} s: {what}\n{describe()}")
            return False
        time.sleep(0.1)
    return True


def main():
    parser = argparse.ArgumentParser()
    for kind, count in [("ours", 7), ("go", 6), ("js", 6)]:
        parser.add_argument("--" + kind, type=int, default=count)
    wanted = parser.parse_args()
    peers, leaves = [], []
    with tempfile.TemporaryDirectory() as folder:
        centre_file, leaf_file = pathlib.Path(folder, "centre.toml"), pathlib.Path(folder, "leaf.toml")
        centre_file.write_text(CENTRE)
        leaf_file.write_text(LIMITS)
        node = [str(ROOT / "target/debug/actix-gossipsub"), "node", "--json", "--topic", TOPIC,
                "--addresses", "loopback"]
        try:
            centre = Peer("centre", node + ["--config", str(centre_file)])
            peers.append(centre)
            if not centre.ready.wait(20):
                sys.exit("the centre does not start")
            own = ["--publish", "1", "--settle-ms", str(SETTLE_MS)]
            both = ["--dial", centre.address, "--topic", TOPIC, "--heartbeat-ms", str(HEARTBEAT_MS)]
            for n in range(wanted.ours):
                command = node + ["--config", str(leaf_file), "--dial", centre.address, "--prefix", f"ours{n}"]
                leaves.append(Peer(f"ours{n}", command + own))
            for n in range(wanted.go):
                command = [str(HERE / "go-peer/go-peer"), "--listen", "/ip4/127.0.0.1/tcp/0", "--seconds", "120"]
                leaves.append(Peer(f"go{n}", command + both + own + ["--prefix", f"go{n}"]))
            for n in range(wanted.js):
                leaves.append(Peer(f"js{n}", ["node", str(HERE / "js-peer/peer.mjs")] + both))
            peers += leaves
            sys.exit(0 if run(centre, leaves) else 1)
        finally:
            for peer in peers:
                peer.process.kill()
                peer.process.wait()


def run(centre, leaves):
    names = lambda: {leaf.peer_id: leaf.name for leaf in leaves}

    def others(leaf):
        return sorted(name for peer, name in names().items() if peer in leaf.connected)

    def describe():
        lines = [f"{leaf.name}: {len(leaf.messages)} messages, connected to {' '.join(others(leaf)) or 'nobody'}"
                 for leaf in leaves]
        return "\n".join(lines)

    start = time.monotonic()
    enough = min(3, len(leaves) - 1)
    if not until("each leaf is connected to three others", lambda: all(len(others(leaf)) >= enough for leaf in leaves),
                 SETTLE_MS / 1000 - 8, describe):
        return False
    print(f"after {time.monotonic() - start:.1f} s each of {len(leaves)} leaves is connected to {enough} others or more:")
    print(describe())
    centre.process.kill()
    js = [leaf for leaf in leaves if leaf.name.startswith("js")]
    # Those of js publish when the others do.
    time.sleep(max(0, start + SETTLE_MS / 1000 - time.monotonic()))
    for leaf in js:
        leaf.publish(leaf.name)
    received = lambda: all(len(leaf.messages) >= len(leaves) - 1 for leaf in leaves)
    if not until("each leaf has the messages of all others", received, 30, describe):
        return False
    print(f"each of {len(leaves)} leaves has received the {len(leaves) - 1} messages of the others, without the centre")
    return True


if __name__ == "__main__":
    main()
