import { messageOf } from '../../actors/errors.ts'
import type { Cluster, Connection, Node } from './cluster.ts'
import { isEnded, opens } from './open-connections.ts'

/*
 * What of kafkajs 2.2.4 is mended in place, for everybody in the process: it has not been released since 2023.
 */

const patched = new WeakSet<object>()

/** Mends what the connections of `cluster` are made of, before the first one opens. */
export async function patchConnections({ connectionPoolBuilder }: Cluster): Promise<void> {
  // Made for its prototypes, and never opened.
  if (typeof connectionPoolBuilder?.build === 'function') patchPool(await connectionPoolBuilder.build(nowhere))
}

const nowhere = { host: 'localhost', port: 0 }

/** Mends what `node` is made of; what is mended already, or is made otherwise, is left as it is. */
export function patch(node: Node): void {
  patchPool(node.connectionPool)
}

function patchPool(made: { readonly pool: readonly Connection[] } | undefined): void {
  const connection = made?.pool?.[0]
  if (connection === undefined) return
  once(connection, mendConnection)
  once(connection.requestQueue, stillTimers)
}

function once<Part extends object>(part: Part, mend: (prototype: Part) => void): void {
  const prototype = part && Object.getPrototypeOf(part)
  if (!prototype || patched.has(prototype)) return
  patched.add(prototype)
  mend(prototype)
}

function mendConnection(prototype: Connection): void {
  mendConnects(prototype)
  mendDisconnects(prototype)
  mendAnswers(prototype)
  mendSends(prototype)
}

/**
 * Two requests that find a connection closed each open a socket, and the first one is never closed: here they share one.
 * And what a broken socket had begun to say is taken for the beginning of what the next one says, so that no answer is
 * understood any more: here it is forgotten.
 */
function mendConnects(prototype: Connection): void {
  const { connect } = prototype
  if (typeof connect !== 'function') return
  const opening = new WeakMap<Connection, Promise<unknown>>()
  prototype.connect = function (this: Connection) {
    const shared = opening.get(this)
    if (shared !== undefined) return shared
    if (this.isConnected()) return Promise.resolve(true)
    if (isEnded(this)) return Promise.reject(new Error('The connection is closed.'))
    Object.assign(this, { chunks: [], bytesBuffered: 0, bytesNeeded: sizeOfLength })
    const opened = connect.call(this).finally(() => opening.delete(this))
    opens(this, opened)
    opening.set(this, opened)
    return opened
  }
}

/**
 * A socket that was closed is told to keep no process alive, each time that its connection is given up; Node puts that
 * off until the socket connects, in one more listener each time: here such a socket is let go.
 */
function mendDisconnects(prototype: Connection): void {
  const { disconnect } = prototype
  if (typeof disconnect !== 'function') return
  prototype.disconnect = function (this: Connection) {
    if (this.socket?.destroyed) delete this.socket
    return disconnect.call(this)
  }
}

/** More than any answer has, bytes. */
const longestAnswer = 2 ** 30

/**
 * What is no answer of Kafka's (something else listens at the address) is thrown where nobody can catch it, which ends the
 * process, or is waited for until it has so many bytes as it seems to say: here it ends the connection.
 */
function mendAnswers(prototype: Connection): void {
  const { processData } = prototype
  if (typeof processData !== 'function') return
  prototype.processData = function (this: Connection, bytes: Uint8Array) {
    try {
      processData.call(this, bytes)
      if (this.bytesNeeded > longestAnswer) throw new RangeError(`an answer of ${this.bytesNeeded} bytes begins`)
    } catch (error) {
      this.authHandlers?.onError()
      this.socket?.destroy(new Error(`what answers does not speak Kafka's protocol: ${messageOf(error)}`))
    }
  }
}

/**
 * A connection that something on the way has forgotten is never answered, and asked again and again, until the system gives it up
 * after a quarter of an hour: here the first request that is not answered in time ends it.
 */
function mendSends(prototype: Connection): void {
  const { send } = prototype
  if (typeof send !== 'function') return
  prototype.send = async function (this: Connection, request: object) {
    const { socket } = this
    try {
      return await send.call(this, request)
    } catch (error) {
      const { name, sentAt } = error as { readonly name?: string; readonly sentAt?: number }
      if (name === 'KafkaJSRequestTimeoutError' && socket === this.socket && !isBehind(this, sentAt!))
        socket?.destroy(new Error('it has fallen silent'))
      throw error
    }
  }
}

/** Whether the node is still at an earlier request. It answers in order, and a join takes as long as the group does. */
function isBehind({ requestQueue }: Connection, sentAt: number): boolean {
  return [...(requestQueue?.inflight?.values() ?? [])].some(earlier => earlier.sentAt < sentAt)
}

/** Of the number before each answer that says how long it is, bytes. */
const sizeOfLength = 4

/**
 * Every connection is checked a thousand times a second for requests that it holds back: the timer is given a time long
 * past when there are none. Here the check is left out when there is nothing to check.
 */
function stillTimers(prototype: object): void {
  const queue = prototype as { scheduleCheckPendingRequests?: (this: object) => void }
  const check = queue.scheduleCheckPendingRequests
  if (typeof check !== 'function') return
  queue.scheduleCheckPendingRequests = function (this: { pending?: unknown[]; throttledUntil?: number }) {
    if (this.pending?.length === 0 && (this.throttledUntil ?? 0) <= Date.now()) return
    check.call(this)
  }
}
