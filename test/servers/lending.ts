import type { TestProject } from 'vitest/node'
import { openDesk } from './desk.ts'
import { PostgresServer } from './postgres.ts'
import { ValkeyServer } from './valkey.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the test run lends its PostgreSQL and its Valkey. */
    serversPort: number
  }
}

/** They outlive no test run, so nothing of them has to reach a disk. */
const start = {
  postgres: () => PostgresServer.start({ settings: { fsync: 'off' } }),
  valkey: () => ValkeyServer.start({ appendfsync: 'everysec' }),
}

/** For a whole test run: one server of each kind. */
export default async function lend(project: TestProject): Promise<() => Promise<void>> {
  const desk = await openDesk<PostgresServer | ValkeyServer, string>(
    name => start[name as keyof typeof start](),
    server => (server instanceof PostgresServer ? server.url() : server.url),
  )
  project.provide('serversPort', desk.port)
  return () => desk.close(server => server.stop())
}
