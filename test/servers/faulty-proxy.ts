import { connect, createServer, type Server, type Socket } from 'node:net'

/** A client's connection, and the one to the server that it is passed on to. */
interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** Nothing passes any more, and nobody is told. */
  isForgotten: boolean
}

/** What passes and is waited for: then a connection is cut there. */
interface Cut {
  readonly way: 'request' | 'answer'
  /** So many pass before. */
  left: number
  readonly done: () => void
}

/** Stands between clients and their server, and does to them what networks do, when it is told to. */
export class FaultyProxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #cut: Cut | undefined
  #isHeld = false
  #isOpen = true
  #port: number

  private constructor(port: number) {
    this.#port = port
    this.#server = createServer(client => {
      if (!this.#isOpen) {
        client.destroy()
        return
      }
      const pair = { client, server: connect(this.#port, '127.0.0.1'), isForgotten: false }
      this.#pairs.add(pair)
      for (const socket of [client, pair.server]) {
        if (this.#isHeld) socket.pause()
        socket.on('error', () => {})
        socket.on('close', () => this.#end(pair))
      }
      client.on('data', bytes => this.#pass('request', bytes, pair))
      pair.server.on('data', bytes => this.#pass('answer', bytes, pair))
    })
  }

  static async start(port: number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(port)
    await new Promise<void>(resolve => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /**
   * Loses an answer, and its connection with it: what was asked is done. Resolves then.
   *
   * @param options.after so many answers pass before @param options.closes nobody can connect then, until {@link open}
   */
  loseAnswer({ after = 0, closes = false } = {}): Promise<void> {
    return this.#cutAt('answer', after).then(() => {
      this.#isOpen = !closes
    })
  }

  /** Lets half of a request through, and cuts its connection there. Resolves then. @param after so many requests pass before */
  cutRequest(after = 0): Promise<void> {
    return this.#cutAt('request', after)
  }

  /** Lets nothing through, until it may go on: then all of it, in order. */
  hold(): { goOn(): void } {
    this.#isHeld = true
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.pause()
    return {
      goOn: () => {
        this.#isHeld = false
        for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.resume()
      },
    }
  }

  /** Drops whatever is sent over the connections that are there, for ever, and closes none: new ones work. Gives how many they are. */
  forget(): number {
    for (const pair of this.#pairs) pair.isForgotten = true
    return this.#pairs.size
  }

  /** Ends all connections and takes no new ones, until {@link open}. */
  close(): void {
    this.#isOpen = false
    for (const pair of this.#pairs) this.#end(pair)
  }

  open(): void {
    this.#isOpen = true
  }

  /** Leads to another server, as an address does after a failover: new connections only. */
  lead(port: number): void {
    this.#port = port
  }

  async stop(): Promise<void> {
    for (const pair of this.#pairs) this.#end(pair)
    await new Promise(resolve => this.#server.close(resolve))
  }

  #cutAt(way: Cut['way'], left: number): Promise<void> {
    return new Promise(done => {
      this.#cut = { way, left, done }
    })
  }

  #pass(way: Cut['way'], bytes: Buffer, pair: Pair): void {
    if (pair.isForgotten) return
    const to = way === 'request' ? pair.server : pair.client
    const cut = this.#cut
    if (cut?.way !== way || cut.left-- > 0) {
      to.write(bytes)
      return
    }
    this.#cut = undefined
    if (way === 'answer') this.#end(pair)
    else to.end(bytes.subarray(0, bytes.length >> 1), () => this.#end(pair))
    cut.done()
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair)
    for (const socket of [pair.client, pair.server]) socket.destroy()
  }
}
