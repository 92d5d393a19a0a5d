import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

type Answer<Loan> = { readonly loan: Loan } | { readonly error: string }

/**
 * Lends what all files of a test run share, each started for the first that asks. Test files run in processes of their own,
 * so they ask through a socket.
 *
 * @param start by the name of what is asked for
 */
export async function openDesk<Thing, Loan>(
  start: (name: string) => Promise<Thing>,
  lend: (thing: Thing) => Loan,
): Promise<{ readonly port: number; close(stop: (thing: Thing) => Promise<unknown>): Promise<void> }> {
  const things = new Map<string, Promise<Thing>>()
  const server = createServer(socket => {
    socket.on('error', () => {})
    createInterface({ input: socket }).once('line', async name => {
      if (!things.has(name)) things.set(name, start(name))
      const answer = await things.get(name)!.then(
        (thing): Answer<Loan> => ({ loan: lend(thing) }),
        (error: Error): Answer<Loan> => ({ error: error.message }),
      )
      socket.end(`${JSON.stringify(answer)}\n`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    async close(stop) {
      server.close()
      const started = await Promise.allSettled(things.values())
      await Promise.all(started.map(result => (result.status === 'fulfilled' ? stop(result.value) : undefined)))
    },
  }
}

/** Asks at a desk for what has this name there. */
export async function borrow<Loan>(port: number, name: string): Promise<Loan> {
  const socket = connect(port, '127.0.0.1')
  const answers = createInterface({ input: socket })
  socket.write(`${name}\n`)
  const [line] = (await once(answers, 'line')) as [string]
  socket.destroy()
  const answer = JSON.parse(line) as Answer<Loan>
  if ('error' in answer) throw new Error(answer.error)
  return answer.loan
}
