import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'

const patience = 90_000

/** Resolves when a node answers, and knows the others that it is asked for. */
export async function whenServing(address: string, ids: readonly number[], isRunning: () => boolean): Promise<void> {
  const until = performance.now() + patience
  for (;;) {
    if (!isRunning()) throw new Error('The server ended.')
    if ((await isListening(address)) && (await knows(address, ids))) return
    if (performance.now() > until) throw new Error(`${address} does not serve after ${patience / 1000} s.`)
    await sleep(50)
  }
}

async function isListening(address: string): Promise<boolean> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Nodes that do not serve yet are not in the metadata. */
async function knows(address: string, ids: readonly number[]): Promise<boolean> {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 0 } })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    return ids.every(id => brokers.some(({ nodeId }) => nodeId === id))
  } catch {
    return false
  } finally {
    await admin.disconnect()
  }
}
