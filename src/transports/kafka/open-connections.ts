import type { Cluster, Connection, Node } from './cluster.ts'
import { wait } from './wait.ts'

/*
 * kafkajs forgets nodes that it takes for gone, and leaves open whatever leads to them; a socket that nobody knows of keeps
 * its process alive until the broker is tired of it. So the connections of a cluster are known here, from when they open.
 */

/** The connections of a cluster that are open. */
interface Ways {
  readonly open: Set<Connection>
  /** Nothing is to be opened any more. */
  ended: boolean
}

/** By what tells of their requests: kafkajs makes one of those for each cluster, and hands it to each connection. */
const ways = new WeakMap<object, Ways>()
const ofCluster = new WeakMap<Cluster, Ways>()

/** The connections of `cluster` are those that are made as this node's are. */
export function knowConnections(cluster: Cluster, node: Node): void {
  const pool = node.connectionPool?.pool ?? []
  const found = pool[0] && waysOf(pool[0])
  if (found === undefined) return
  ofCluster.set(cluster, found)
  for (const connection of pool) if (connection.isConnected()) found.open.add(connection)
}

/** It may not open any more: its cluster has ended. */
export function isEnded(connection: Connection): boolean {
  return waysOf(connection)?.ended === true
}

/** It is opening a socket. */
export function opens(connection: Connection, opened: Promise<unknown>): void {
  const found = waysOf(connection)
  const { socket } = connection
  if (found === undefined || socket === undefined) return
  const isOpen = (): void => {
    if (found.ended) end(connection)
    else if (!socket.destroyed) found.open.add(connection)
  }
  opened.then(isOpen, () => {})
  socket.once('close', () => {
    if (connection.socket !== socket) return
    found.open.delete(connection)
    // One whose socket was destroyed takes itself for connected, and looks ten times a second for requests that are late.
    if (connection.isConnected()) void connection.disconnect()
  })
}

/** Ends all connections at once. Whatever nodes were asked, and have not answered, is rejected. */
export async function endConnections(cluster: Cluster): Promise<void> {
  const found = ofCluster.get(cluster)
  if (found !== undefined) {
    found.ended = true
    for (const connection of found.open) end(connection)
  }
  await Promise.race([cluster.disconnect(), wait(2_000)]).catch(() => {})
}

function end(connection: Connection): void {
  connection.rejectRequests(new Error('The connection is closed.'))
  connection.socket?.destroy()
  void connection.disconnect()
}

/** `undefined`: it is made otherwise than in kafkajs 2.2.4, and left as it is. */
function waysOf({ requestQueue, rejectRequests }: Connection): Ways | undefined {
  const emitter = requestQueue?.instrumentationEmitter
  if (!emitter || typeof rejectRequests !== 'function') return undefined
  let found = ways.get(emitter)
  if (found === undefined) ways.set(emitter, (found = { open: new Set(), ended: false }))
  return found
}
