import type { PostgresServer } from '../../servers/postgres.ts'
import type { Ledger } from './writers.ts'

/**
 * Holds the tables against what writers were told, without the store: reads them as anybody could.
 *
 * @returns what is wrong, in sentences
 */
export async function wrongTables(server: PostgresServer, schema: string, ledger: Ledger): Promise<readonly string[]> {
  const wrong: string[] = Object.keys(ledger.outcomes).filter(what => what.includes('twice'))
  const runs = await server.query(`select run, seq::int, revision::int from "${schema}".runs`)
  const units = await server.query(
    `select run, seq::int, events::json->0->>'name' as name from "${schema}".units order by run, seq`,
  )
  const byRun = new Map<unknown, (string | null)[]>()
  for (const { run, seq, name } of units) {
    const names = byRun.get(run) ?? []
    if (names.length !== seq) wrong.push(`unit ${seq} of ${run} follows ${names.length - 1}`)
    byRun.set(run, [...names, name as string | null])
  }
  for (const { run, seq } of runs) {
    const names = byRun.get(run) ?? []
    if (names.length !== Number(seq) + 1) wrong.push(`${run} stands at ${seq} with ${names.length} units`)
  }
  for (const run of byRun.keys())
    if (!runs.some(row => row.run === run)) wrong.push(`units of ${run}, which is not there`)
  const all = units.flatMap(({ name }) => (name === null ? [] : [String(name)]))
  if (new Set(all).size < all.length) wrong.push('a unit is there twice')
  for (const [run, acknowledged] of ledger.acknowledged) {
    for (const [seq, name] of acknowledged) {
      if (byRun.get(run)?.[seq] !== name) wrong.push(`${name} was acknowledged as ${run} ${seq} and is not there`)
    }
  }
  const expected = new Set([...ledger.acknowledged.values()].flatMap(names => [...names.values()]))
  for (const name of all) {
    if (!expected.has(name) && !ledger.unknown.has(name)) wrong.push(`${name} was refused and is there`)
  }
  return [...wrong, ...(await wrongMail(server, schema, ledger))]
}

async function wrongMail(server: PostgresServer, schema: string, ledger: Ledger): Promise<readonly string[]> {
  const wrong: string[] = []
  const mail = await server.query(`select receiver, sender, seq::int, event is null as gone from "${schema}".mail`)
  const rows = new Map(mail.map(row => [`${row.receiver} ${row.sender} ${row.seq}`, row.gone]))
  for (const name of ledger.delivered) if (!rows.has(name)) wrong.push(`mail ${name} was taken and is not there`)
  for (const [name, gone] of rows) {
    if (!ledger.delivered.has(name) && !ledger.perhaps.has(name)) wrong.push(`mail ${name} came from nowhere`)
    if (ledger.perhaps.has(name)) continue
    if (gone !== ledger.taken.has(name)) wrong.push(`mail ${name} ${gone ? 'left' : 'did not leave'} its inbox`)
  }
  return wrong
}
