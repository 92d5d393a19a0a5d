import type { Claim, LeaseKey, LeaseRow } from '../../actors/contracts/store.ts'
import type { ServerLeases } from '../server/backend.ts'
import { type Connection, script } from './connection.ts'
import { type Keys, leaseName } from './keys.ts'
import { readLease } from './row-text.ts'
import { claimScript, releaseScript } from './scripts/leases.ts'
import type { Writes } from './writes.ts'

const scripts = { claim: script(claimScript), release: script(releaseScript) }

/** Who owns a partition. */
export class Leases implements ServerLeases {
  readonly #connection: Connection
  readonly #keys: Keys
  readonly #writes: Writes

  constructor(connection: Connection, keys: Keys, writes: Writes) {
    this.#connection = connection
    this.#keys = keys
    this.#writes = writes
  }

  async claim({ namespace, partition, owner, group, above = 0 }: Claim): Promise<LeaseRow> {
    const name = leaseName(namespace, partition)
    const args = [name, JSON.stringify(owner), JSON.stringify(group), above]
    return readLease(name, (await this.#writes.run(scripts.claim, this.#written, args)) as string)
  }

  async release({ namespace, partition, epoch }: LeaseKey & { readonly epoch: number }): Promise<boolean> {
    const args = [leaseName(namespace, partition), epoch]
    return Number(await this.#writes.run(scripts.release, this.#written, args)) === 1
  }

  async row({ namespace, partition }: LeaseKey): Promise<LeaseRow | undefined> {
    const name = leaseName(namespace, partition)
    const text = await this.#connection.ask('hget', [this.#keys.leases, name])
    return text === null ? undefined : readLease(name, text as string)
  }

  get #written(): readonly string[] {
    return [this.#keys.marks, this.#keys.leases]
  }
}
