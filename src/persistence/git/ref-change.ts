/** A ref that is set. */
export interface RefChange {
  readonly name: string
  /** What it must be before; `undefined`: not there. */
  readonly from: string | undefined
  readonly to: string
}

/** A ref was not what it should have been: somebody else set it. Nothing was changed. */
export class RefMoved extends Error {
  readonly ref: string
  readonly found: string | undefined

  constructor({ name, from }: RefChange, found: string | undefined) {
    super(`${name} is ${found}, not ${from}`)
    this.ref = name
    this.found = found
  }
}
