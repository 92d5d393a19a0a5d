import { XMachinesError } from '../../actors/errors.ts'
import { type Database, Statement } from './database.ts'

/** Whether an append may resolve before the server has it on its disk. */
export type PostgresDurability = 'synchronous' | 'relaxed'

const asked = new Statement(
  `select current_setting('server_version_num'), current_setting('server_encoding'), pg_is_in_recovery(),
   current_setting('transaction_read_only'), current_setting('synchronous_commit'), current_setting('fsync'),
   current_setting('full_page_writes'), current_setting('extra_float_digits')`,
)

/**
 * Refuses a server that would lose, change or not take what a store hands it.
 *
 * @param create whether the store may be made; else it may be that it is only read, and its first write is told
 */
export async function checkServer(database: Database, durability: PostgresDurability, create: boolean): Promise<void> {
  const [row] = await database.ask(asked, [])
  const [version, encoding, isReplica, readOnly, synchronousCommit, fsync, fullPageWrites, digits] = row!
  const refuse = (setting: string, value: string | null | undefined, why: string): XMachinesError =>
    new XMachinesError('STORE_UNSAFE', `The server of ${database.location} has ${setting} = ${value}: ${why}`, {
      details: { setting, value },
    })
  if (Number(version) < 120_000) throw refuse('server_version', version, 'PostgreSQL 12 or newer is needed.')
  if (encoding !== 'UTF8') throw refuse('server_encoding', encoding, 'use a database with the encoding UTF8.')
  if (Number(digits) < 1) {
    throw refuse(
      'extra_float_digits',
      digits,
      'times that are read would be rounded. Set it to 1, as it is by default.',
    )
  }
  if (isReplica === 't') throw refuse('in_recovery', 'on', 'it is a replica. Connect to the primary server.')
  if (readOnly === 'on' && create) {
    const message = `The server of ${database.location} takes no writes: default_transaction_read_only is on.`
    throw new XMachinesError('STORE_READ_ONLY', `${message} Connect to one that does.`)
  }
  if (durability === 'relaxed') return
  const settings = { synchronous_commit: synchronousCommit, fsync, full_page_writes: fullPageWrites }
  for (const [setting, value] of Object.entries(settings)) {
    const why = "a crash of the server may lose what it acknowledged. Switch it on, or declare `durability: 'relaxed'`."
    if (value === 'off') throw refuse(setting, value, why)
  }
}
