import type { StoredSnapshot } from '../../actors/contracts/store.ts'
import type { ServerSnapshots } from '../server/backend.ts'
import { type Connection, script } from './connection.ts'
import { type Keys, scoreOf } from './keys.ts'
import { loadScript, saveScript } from './scripts/snapshots.ts'

const scripts = { save: script(saveScript), load: script(loadScript) }

/** How many snapshots of a run are kept: a few, so that a look back does not replay from the start. */
const keptSnapshots = 4

/** The cached states of a store. Nothing acknowledged is lost with them: they leave no mark, and wait for no replica. */
export class Snapshots implements ServerSnapshots {
  readonly #connection: Connection
  readonly #keys: Keys

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection
    this.#keys = keys
  }

  async save(run: string, snapshot: StoredSnapshot): Promise<void> {
    const args = [snapshot.seq, JSON.stringify(snapshot), keptSnapshots]
    await this.#connection.run(scripts.save, [this.#keys.run(run), this.#keys.snapshots(run)], () => args)
  }

  async load(run: string, atMost: number): Promise<StoredSnapshot | undefined> {
    const text = await this.#connection.run(scripts.load, [this.#keys.snapshots(run)], () => [scoreOf(atMost)])
    return text === null ? undefined : (JSON.parse(text as string) as StoredSnapshot)
  }
}
