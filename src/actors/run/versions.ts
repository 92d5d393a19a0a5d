import type { ObjectFormat } from '../contracts/unit.ts'
import type { Program } from '../machine/program.ts'
import { programOf } from '../machine/programs.ts'
import type { Strictness } from '../machine/strict/strictness.ts'
import type { AnyMachine, Machines } from './types.ts'

/** The versions of a machine that are at hand, as programs: the one for new runs first. */
export type Versions = readonly [Program, ...Program[]]

/** The programs of a machine or a list of them, the one for new runs first. */
export function programsOf(machine: Machines, format: ObjectFormat, strict: Strictness | undefined): Versions {
  const machines = (Array.isArray(machine) ? machine : [machine]) as readonly AnyMachine[]
  if (machines.length === 0) throw new TypeError('Expected at least one machine, got an empty list.')
  return machines.map(one => programOf(one as never, format, strict)) as unknown as Versions
}
