/** Words of a slot: three of the id, and the number behind it, of which 0 is an empty slot. */
const words = 4
const firstSlots = 1024

/**
 * Numbers by ids, in 16 to 32 bytes each, where a map of strings takes ten times that. Ids are hashes: the beginning of one
 * says where it is, and its first 96 bits tell it from all others.
 */
export class IdTable {
  #slots = new Uint32Array(firstSlots * words)
  #count = 0

  /** How many ids it has. */
  get size(): number {
    return this.#count
  }

  get(id: string): number | undefined {
    const found = this.#slots[this.#find(id) + 3]!
    return found === 0 ? undefined : found - 1
  }

  /** @param value a whole number below 2³² − 1 */
  set(id: string, value: number): void {
    let at = this.#find(id)
    if (this.#slots[at + 3] === 0) {
      this.#count++
      // Half of the slots stay empty, so that a look is a short one.
      if (this.#count * 2 > this.#slots.length / words) {
        this.#grow()
        at = this.#find(id)
      }
    }
    this.#slots[at] = wordAt(id, 0)
    this.#slots[at + 1] = wordAt(id, 8)
    this.#slots[at + 2] = wordAt(id, 16)
    this.#slots[at + 3] = value + 1
  }

  clear(): void {
    this.#slots = new Uint32Array(firstSlots * words)
    this.#count = 0
  }

  /** Where the id's slot begins, or the empty one that would be its. */
  #find(id: string): number {
    return this.#place(wordAt(id, 0), wordAt(id, 8), wordAt(id, 16))
  }

  #place(first: number, second: number, third: number): number {
    const slots = this.#slots
    const last = slots.length / words - 1
    for (let slot = first & last; ; slot = (slot + 1) & last) {
      const at = slot * words
      if (slots[at + 3] === 0) return at
      if (slots[at] === first && slots[at + 1] === second && slots[at + 2] === third) return at
    }
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    for (let at = 0; at < old.length; at += words) {
      if (old[at + 3] === 0) continue
      this.#slots.set(old.subarray(at, at + words), this.#place(old[at]!, old[at + 1]!, old[at + 2]!))
    }
  }
}

function wordAt(id: string, digit: number): number {
  return Number.parseInt(id.slice(digit, digit + 8), 16)
}
