// A gossipsub peer on js-libp2p, for tests/peers/star.py. It writes one JSON object a line to standard output.
//
//     node peer.mjs --dial MADDR/p2p/ID --topic T --heartbeat-ms MS
//
// A line that it reads from standard input is published.
import './node20.mjs'
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createInterface } from 'node:readline'
import { createLibp2p } from 'libp2p'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { multiaddr } from '@multiformats/multiaddr'

const { values } = parseArgs({
  options: { dial: { type: 'string' }, topic: { type: 'string' }, 'heartbeat-ms': { type: 'string', default: '1000' } }
})
const emit = (event, fields) => console.log(JSON.stringify({ event, ...fields }))

const heartbeatInterval = Number(values['heartbeat-ms'])
const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  services: {
    identify: identify(),
    ping: ping(),
    pubsub: gossipsub({
      heartbeatInterval,
      pruneBackoff: 1000,
      scoreThresholds: { acceptPXThreshold: 0 },
      // All peers of a test have one address: by default more than ten of them are penalised (P6).
      scoreParams: { IPColocationFactorWeight: 0 }
    })
  }
})
node.addEventListener('peer:connect', event => emit('connected', { peer: event.detail.toString() }))
node.addEventListener('peer:disconnect', event => emit('disconnected', { peer: event.detail.toString() }))
node.services.pubsub.addEventListener('message', ({ detail }) => {
  emit('message', { topic: detail.topic, data_sha256: createHash('sha256').update(detail.data).digest('hex') })
})
node.services.pubsub.subscribe(values.topic)
emit('listening', { addr: node.getMultiaddrs()[0].toString(), peer_id: node.peerId.toString() })
await node.dial(multiaddr(values.dial))

for await (const line of createInterface({ input: process.stdin })) {
  await node.services.pubsub.publish(values.topic, new TextEncoder().encode(line))
}
await node.stop()
process.exit(0)
