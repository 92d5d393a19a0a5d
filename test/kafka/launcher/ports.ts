import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Ports that nobody listens on. From below those that the system gives to clients: while a node is down, none of the clients
 * that try to reach it can be given its port, and so talk to itself.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const taken: Server[] = []
  while (taken.length < count) {
    const server = createServer()
    try {
      server.listen(randomInt(15_000, 32_000), '127.0.0.1')
      await once(server, 'listening')
      taken.push(server)
    } catch {
      // Somebody listens there.
    }
  }
  return Promise.all(
    taken.map(async server => {
      const { port } = server.address() as { port: number }
      server.close()
      await once(server, 'close')
      return port
    }),
  )
}
