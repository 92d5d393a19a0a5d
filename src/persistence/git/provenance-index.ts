import { type Recording, type RunProvenance, readFlush, readProvenance, type UnitProvenance } from './provenance.ts'
import { longestStart, readBeside, readLineStart, readUnits } from './provenance-line.ts'

/** Where a line stands. */
interface LinePlace {
  readonly blob: string
  readonly start: number
  readonly end: number
}

interface RunLines {
  readonly units: (LinePlace & { readonly from: number })[]
  beside: LinePlace | undefined
}

const keptBlobs = 8

/** Which flush says what of which run. Read once; a branch that has grown is read on from where it was. */
export class ProvenanceIndex {
  readonly #repository: Recording
  readonly #lines = new Map<string, RunLines>()
  readonly #blobs = new Map<string, Buffer>()
  #head: string | undefined

  constructor(repository: Recording) {
    this.#repository = repository
  }

  /** Learns what the branch has. @param head where it stands; `undefined`: there is none */
  learn(head: string | undefined): void {
    if (head === this.#head) return
    const fresh: string[] = []
    for (let commit = head; commit !== undefined && commit !== this.#head; ) {
      const { file, parent } = readFlush(this.#repository, commit)
      if (file !== undefined) fresh.push(file)
      commit = parent
    }
    for (const blob of fresh.reverse()) this.#scan(blob)
    this.#head = head
  }

  /** What was recorded beside a run. */
  run(run: string): RunProvenance | undefined {
    const place = this.#lines.get(run)?.beside
    return place && readBeside(this.#text(place), place.blob)
  }

  /** What was recorded of units, from the one with seq `from` on; what is not known is missing. */
  *units(run: string, from: number, to: number): Generator<readonly [seq: number, UnitProvenance]> {
    const lines = this.#lines.get(run)?.units ?? []
    for (let at = 0; at < lines.length; at++) {
      const place = lines[at]!
      const until = Math.min(to, (lines[at + 1]?.from ?? Number.POSITIVE_INFINITY) - 1)
      if (until < from || place.from > to) continue
      const units = readUnits(this.#text(place), place.blob)
      for (let index = Math.max(0, from - place.from); index < units.length && place.from + index <= until; index++)
        yield [place.from + index, units[index]!]
    }
  }

  #scan(blob: string): void {
    const bytes = this.#blob(blob)
    for (let start = 0; start < bytes.length; ) {
      const found = bytes.indexOf(10, start)
      const end = found < 0 ? bytes.length : found
      const text = bytes.toString('latin1', start, Math.min(end, start + longestStart))
      const { run, from } = readLineStart(this.#repository.objectFormat, text, blob)
      let lines = this.#lines.get(run)
      if (lines === undefined) {
        lines = { units: [], beside: undefined }
        this.#lines.set(run, lines)
      }
      if (from === undefined) lines.beside = { blob, start, end }
      else {
        // A flush that was repeated says again what one before it said.
        while (lines.units.length > 0 && lines.units[lines.units.length - 1]!.from >= from) lines.units.pop()
        lines.units.push({ blob, start, end, from })
      }
      start = end + 1
    }
  }

  #text({ blob, start, end }: LinePlace): string {
    return this.#blob(blob).toString('utf8', start, end)
  }

  #blob(oid: string): Buffer {
    const kept = this.#blobs.get(oid)
    if (kept !== undefined) return kept
    const bytes = readProvenance(this.#repository.objects, oid)
    this.#blobs.set(oid, bytes)
    for (const oldest of this.#blobs.keys()) {
      if (this.#blobs.size <= keptBlobs) break
      this.#blobs.delete(oldest)
    }
    return bytes
  }
}
