import { connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between a client and its server, and loses answers when it is told to. */
export class LossyProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #cut: (() => void) | undefined
  #passing = 0
  #isOpen = true

  private constructor(port: number) {
    this.#server = createServer(client => {
      if (!this.#isOpen) {
        client.destroy()
        return
      }
      const server = connect(port, '127.0.0.1')
      const ends = [client, server]
      for (const socket of ends) {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          this.#sockets.delete(socket)
          for (const end of ends) end.destroy()
        })
      }
      client.on('data', bytes => server.write(bytes))
      server.on('data', bytes => {
        if (this.#cut === undefined || this.#passing-- > 0) client.write(bytes)
        else {
          client.destroy()
          this.#cut()
        }
      })
    })
  }

  static async start(port: number): Promise<LossyProxy> {
    const proxy = new LossyProxy(port)
    await new Promise<void>(resolve => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  /**
   * Loses an answer, and its connection with it. Resolves then.
   *
   * @param options.after so many answers pass before @param options.closes nobody can connect then, until {@link open}
   */
  loseAnswer({ after = 0, closes = false } = {}): Promise<void> {
    this.#passing = after
    return new Promise(resolve => {
      this.#cut = () => {
        this.#cut = undefined
        this.#isOpen = !closes
        resolve()
      }
    })
  }

  open(): void {
    this.#isOpen = true
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }
}
