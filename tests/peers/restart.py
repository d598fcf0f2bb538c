#!/usr/bin/env python3
"""A node starts again with the same peer id, once after it was killed and once while its former connection is still open.

Two nodes of this crate, or one and a peer of go-libp2p-pubsub, exchange messages. The first stays. The second is killed, or
stopped so that its connection stays open; then a process with the same key dials the one that stays. Each must receive
messages that the other publishes after that.

A peer of go-libp2p-pubsub sends its subscriptions only on the first connection to a peer. So if it is the one that stays, the
stopped process is killed before the messages are awaited.

    tests/peers/build.sh
    tests/peers/restart.py

It exits with 1 if messages are missing.
"""
import os, pathlib, signal, sys, tempfile, time

from star import HEARTBEAT_MS, HERE, ROOT, Peer

TOPIC = "restart"
# The messages that must arrive in each direction, and the time for them.
WANTED, SECONDS = 20, 30
LIMITS = f'heartbeat_interval = "{HEARTBEAT_MS}ms"\n'


def command(kind, name, folder, dial):
    publish = ["--topic", TOPIC, "--publish", "100000", "--interval-ms", "50", "--settle-ms", "100"]
    publish += ["--prefix", f"{name}-{time.monotonic_ns()}"] + (["--dial", dial] if dial else [])
    if kind == "ours":
        limits = folder / "limits.toml"
        limits.write_text(LIMITS)
        node = [str(ROOT / "target/debug/actix-gossipsub"), "node", "--json", "--addresses", "loopback"]
        return node + ["--config", str(limits), "--key", str(folder / f"{name}.key")] + publish
    number = {"stays": "1", "restarts": "2"}[name]
    listen = ["--listen", "/ip4/127.0.0.1/tcp/0", "--seconds", "300", "--node-id", number]
    return [str(HERE / "go-peer/go-peer")] + listen + ["--heartbeat-ms", str(HEARTBEAT_MS)] + publish


def awaited(what, condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            print(f"  not true within {SECONDS} s: {what}")
            return False
        time.sleep(0.05)
    return True


def exchange(stays, restarts):
    before = len(stays.messages)
    to_stays = lambda: len(stays.messages) - before >= WANTED
    to_restarted = lambda: len(restarts.messages) >= WANTED
    return awaited("the one that stays receives", to_stays) and awaited("the other receives", to_restarted)


def restart(kinds, frozen, folder):
    peers = []

    def start(name, dial=None):
        peers.append(Peer(name, command(kinds[name], name, folder, dial)))
        if not peers[-1].ready.wait(20):
            sys.exit(f"{name} does not start")
        return peers[-1]

    try:
        stays = start("stays")
        former = start("restarts", stays.address)
        if not exchange(stays, former):
            return False
        if frozen:
            os.kill(former.process.pid, signal.SIGSTOP)
        else:
            former.process.kill()
        began = time.monotonic()
        again = start("restarts", stays.address)
        if again.peer_id != former.peer_id:
            sys.exit("the key has changed")
        if frozen and kinds["stays"] == "go":
            former.process.kill()
        if not exchange(stays, again):
            return False
        print(f"  {WANTED} messages each way {time.monotonic() - began:.1f} s after the restart")
        if frozen:
            # Its former connection ends: nothing changes.
            former.process.kill()
            time.sleep(1)
            again.messages.clear()
            return exchange(stays, again)
        return True
    finally:
        for peer in peers:
            peer.process.kill()
            peer.process.wait()


def main():
    failed = False
    for stays, restarts in [("ours", "ours"), ("ours", "go"), ("go", "ours")]:
        for frozen in [False, True]:
            how = "while its former connection is open" if frozen else "after it was killed"
            print(f"{stays} stays, {restarts} starts again {how}:")
            with tempfile.TemporaryDirectory() as folder:
                failed |= not restart({"stays": stays, "restarts": restarts}, frozen, pathlib.Path(folder))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
