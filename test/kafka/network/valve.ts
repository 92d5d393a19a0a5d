import { connect, type Socket } from 'node:net'
import type { ISocketFactory } from 'kafkajs'

/** All connections of one client. While it is shut nothing passes, in either direction, and nothing is closed: as on a process that is stopped. */
export class Valve {
  readonly #sockets = new Set<Gate>()
  #isShut = false

  /** What kafkajs makes its connections with. */
  readonly socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = connect({ host, port }, onConnect)
    socket.setNoDelay(true)
    const gate = new Gate(socket)
    this.#sockets.add(gate)
    socket.once('close', () => this.#sockets.delete(gate))
    if (this.#isShut) gate.shut()
    return socket
  }

  shut(): void {
    this.#isShut = true
    for (const gate of this.#sockets) gate.shut()
  }

  open(): void {
    this.#isShut = false
    for (const gate of this.#sockets) gate.open()
  }
}

/** One connection: what is written while it is shut is written when it opens. */
class Gate {
  readonly #socket: Socket
  readonly #write: Socket['write']
  readonly #held: Parameters<Socket['write']>[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    this.#write = socket.write.bind(socket)
  }

  shut(): void {
    this.#socket.pause()
    this.#socket.write = ((...written: Parameters<Socket['write']>) => {
      this.#held.push(written)
      return true
    }) as Socket['write']
  }

  open(): void {
    this.#socket.write = this.#write
    for (const written of this.#held.splice(0)) this.#write(...written)
    this.#socket.resume()
  }
}
