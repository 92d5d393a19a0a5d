import type { GitObject } from '../../actors/identity/index.ts'
import { atOnce } from '../filesystem/turns.ts'
import { type Pack, type PackDraft, PackWriter } from './pack-writer.ts'
import { type CommitBase, type CommittedUnit, RunCommits, type Tip } from './run-commits.ts'

/** What a packing thread is asked for: the batch, what to do with it, and with what. */
export type Order = {
  [K in keyof Orders]: readonly [batch: number, what: K, ...details: Orders[K]]
}[keyof Orders]

interface Orders {
  readonly takeOver: [draft: PackDraft, tips: ReadonlyMap<string, Tip>]
  readonly add: [object: GitObject]
  readonly commit: [run: string, base: CommitBase, units: readonly CommittedUnit[]]
  readonly tips: []
  readonly finish: []
  readonly drop: []
}

interface Packing {
  readonly writer: PackWriter
  readonly commits: RunCommits
}

/** What it answers: of most orders, how long the pack is. */
export type Answer = number | ReadonlyMap<string, Tip> | Pack

/** Where a packing thread does what it is asked for. */
export class PackingDesk {
  readonly #packings = new Map<number, Packing>()

  answer([batch, ...order]: Order): Answer {
    if (order[0] === 'takeOver') {
      const [, draft, tips] = order
      const writer = PackWriter.resume(draft)
      const commits = new RunCommits(draft.format, object => writer.add(object))
      for (const [run, tip] of tips) commits.tips.set(run, tip)
      this.#packings.set(batch, { writer, commits })
      return writer.size
    }
    if (order[0] === 'drop') return Number(this.#packings.delete(batch))
    const packing = this.#packings.get(batch)
    if (packing === undefined) throw new Error('The thread that had the pack has ended.')
    const { writer, commits } = packing
    switch (order[0]) {
      case 'add':
        writer.add(order[1])
        return writer.size
      case 'commit':
        atOnce(commits.commit(order[1], order[2], order[3]))
        return writer.size
      case 'tips':
        return commits.tips
      case 'finish':
        return atOnce(writer.finish())
    }
  }
}
