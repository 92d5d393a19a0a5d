import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** How a way between a worker and a broker is. */
export type LinkState = 'whole' | 'cut' | 'silent' | 'slow'

/** How much later everything comes on a slow link, ms. */
const delay = 250

/** The way from one worker to one broker: a loopback proxy. */
export class Link {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #state: LinkState = 'whole'
  /** Connections that were broken or refused, and pieces that were held back or came late. */
  hurt = 0
  /** Pieces that came to either end. */
  passed = 0

  private constructor(server: Server, to: string) {
    this.#server = server
    const [host, port] = to.split(':') as [string, string]
    server.on('connection', near => this.#join(near, connect(Number(port), host)))
  }

  static async to(address: string): Promise<Link> {
    const server = createServer()
    const link = new Link(server, address)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return link
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Connections end where the state does: what was dropped is gone, and nothing may overtake what comes late. */
  set state(state: LinkState) {
    const before = this.#state
    this.#state = state
    if (state === 'cut' || before === 'silent' || before === 'slow') this.#break()
  }

  close(): void {
    this.#server.close()
    this.#break()
  }

  #break(): void {
    for (const socket of this.#sockets) {
      this.hurt++
      socket.destroy()
    }
  }

  #join(near: Socket, far: Socket): void {
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one)
      one.setNoDelay(true)
      one.on('error', () => {})
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
      one.on('data', bytes => this.#pass(bytes, other))
    }
    if (this.#state !== 'cut') return
    this.hurt++
    near.destroy()
  }

  #pass(bytes: Buffer, to: Socket): void {
    this.passed++
    if (this.#state === 'whole') return void to.write(bytes)
    this.hurt++
    if (this.#state === 'slow') setTimeout(() => to.destroyed || to.write(bytes), delay)
  }
}
