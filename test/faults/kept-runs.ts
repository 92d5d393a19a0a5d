import type { Redis } from 'iovalkey'
import type { PostgresServer } from '../servers/postgres.ts'

/*
 * What servers keep, read without the store: as anybody could who knows how it is written.
 */

/** A run as its server has it. */
export interface KeptRun {
  readonly run: string
  /** Where its row says that it stands. */
  readonly seq: number
  /** Of its units, in order. */
  readonly seqs: readonly number[]
  /** The id that each unit was sent with, if any. */
  readonly requests: readonly (string | undefined)[]
}

/** The runs in the tables of a schema. */
export async function runsInTables(server: PostgresServer, schema: string, database?: string): Promise<KeptRun[]> {
  const rows = await server.query(`select run, seq::int from "${schema}".runs`, [], database)
  const units = await server.query(`select run, seq::int, rest from "${schema}".units order by run, seq`, [], database)
  const byRun = new Map<string, { seq: number; rest: string }[]>()
  for (const unit of units as { run: string; seq: number; rest: string }[]) {
    byRun.set(unit.run, [...(byRun.get(unit.run) ?? []), unit])
  }
  return (rows as { run: string; seq: number }[]).map(({ run, seq }) => {
    const own = byRun.get(run) ?? []
    return { run, seq, seqs: own.map(unit => unit.seq), requests: own.map(({ rest }) => requestOf(rest)) }
  })
}

/** The runs under a prefix. */
export async function runsInKeys(client: Redis, prefix: string): Promise<KeptRun[]> {
  const members = await client.zrange(`{${prefix}}:runs`, 0, -1)
  return Promise.all(
    members.map(async member => {
      const run = member.split('\n')[0]!
      const [seq] = (await client.hget(`{${prefix}}:run:${run}`, 'row'))!.split('\n') as [string]
      const entries = await client.xrange(`{${prefix}}:units:${run}`, '-', '+')
      return {
        run,
        seq: Number(seq),
        seqs: entries.map(([id]) => Number.parseInt(id, 10) - 1),
        requests: entries.map(([, fields]) => requestOf(fields[1]!.split('\n')[2]!)),
      }
    }),
  )
}

/** @param rest of a unit, from its first comma to its brace */
function requestOf(rest: string): string | undefined {
  return (JSON.parse(`{${rest.slice(1)}`) as { requestId?: string }).requestId
}
