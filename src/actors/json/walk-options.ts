import type { ErrorCode } from '../errors.ts'

/** How much JSON one value may be. */
export interface JsonLimits {
  /** Bytes as JSON text in UTF-8. */
  readonly maxBytes: number
  /** Objects and arrays inside one another; the outermost counts. */
  readonly maxDepth: number
}

/** What a walk needs to know beside the value. */
export interface WalkOptions {
  /** The value's name at the start of an error's text, such as `The event`. */
  readonly name: string
  /** What is wrong when the value is not JSON. */
  readonly code: ErrorCode
  /** What is wrong when it is over a limit. */
  readonly tooLarge: ErrorCode
  readonly limits: JsonLimits
  /** The caller can raise the limits, by the option `limits`. */
  readonly areAdjustable: boolean
  /** A property that is `undefined` is left out instead of refused. */
  readonly undefinedIsAbsent: boolean
}
