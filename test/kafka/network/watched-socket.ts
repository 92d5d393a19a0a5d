import { connect, type Socket } from 'node:net'
import type { ISocketFactory } from 'kafkajs'

/** Kafka's numbers of requests. */
export const apiKeys = { fetch: 1, joinGroup: 11 } as const

/** A plain connection that tells `sent` the number of each request, once it is on its way. */
export function watchedSocket(
  { host, port, onConnect }: Parameters<ISocketFactory>[0],
  sent: (apiKey: number) => void,
): Socket {
  const socket = connect({ host, port }, onConnect)
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  socket.write = (...args: unknown[]) => {
    const isFull = write(...args)
    sent((args[0] as Buffer).readInt16BE(4))
    return isFull
  }
  return socket
}
