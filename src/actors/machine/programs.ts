import type { ObjectFormat } from '../contracts/unit.ts'
import { type AnyMachine, toDefinition } from './definition.ts'
import { Program } from './program.ts'
import { StrictProgram } from './strict/program.ts'
import { type Strictness, shareOf } from './strict/strictness.ts'

const programs = new WeakMap<object, Map<string, Program>>()
/** The programs of the child runs that a program's steps have spawned in this process, by their machine's commit. */
const children = new WeakMap<Program, Map<string, Program>>()
const strictness = new WeakMap<Program, number>()

/**
 * The program of a machine or definition: made once for each hash and strictness, refused as `defineMachine` refuses.
 *
 * @param strict `undefined`: as it is outside or in production
 */
export function programOf(machine: AnyMachine, format: ObjectFormat, strict: Strictness | undefined): Program {
  const share = shareOf(strict)
  const name = `${format} ${share}`
  let program = programs.get(machine)?.get(name)
  if (program === undefined) {
    const definition = toDefinition(machine)
    program = share === 0 ? new Program(definition, format) : new StrictProgram(definition, format, share)
    let made = programs.get(machine)
    if (made === undefined) programs.set(machine, (made = new Map()))
    made.set(name, program)
    strictness.set(program, share)
  }
  return program
}

/** The program of a child run that a step of `parent` spawns: as strict as its parent. It is remembered. */
export function childProgramOf(parent: Program, machine: AnyMachine): Program {
  const format = parent.record.oid.length === 40 ? 'sha1' : 'sha256'
  const program = programOf(machine, format, { sample: strictness.get(parent) ?? 0 })
  let known = children.get(parent)
  if (known === undefined) children.set(parent, (known = new Map()))
  known.set(program.record.oid, program)
  return program
}

/** The program of a child that was spawned before, by its machine's commit. */
export function knownChild(parent: Program, machine: string): Program | undefined {
  return children.get(parent)?.get(machine)
}
