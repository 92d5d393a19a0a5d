import type { MachineRecord, RunHead } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import { definitionChanges } from '../machine/definition-changes.ts'
import type { Lineage } from './lineage.ts'

/** What is wrong with the machines that were given for a run. */

/** The error of units that only a machine can decide that is not known. */
export function unknownMachine(run: string, seq: number, machine: string, lineage: Lineage): XMachinesError {
  const text = `Unit ${seq} of run ${run} was decided by machine ${nameOf(machine, lineage)}, and it is not among those that were given: ${given(lineage)}. Pass it too, in the list of machines (to a command: --machine once more) or as \`from\` of a migration.`
  return new XMachinesError('MACHINE_MISMATCH', text, { details: { run, seq, machine, given: oids(lineage) } })
}

/** The error of a recorded migration that is not declared any more. */
export function noWay(run: string, seq: number, from: string, machine: string, lineage: Lineage): XMachinesError {
  const known = lineage.find(machine) !== undefined
  const text = `Unit ${seq} of run ${run} is a migration from machine ${nameOf(from, lineage)} to ${nameOf(machine, lineage)}, and ${known ? 'the latter declares none that leads there' : 'the latter is not among those that were given'}: ${given(lineage)}. Pass the machine as it was defined then, with its migrations.`
  return new XMachinesError('MACHINE_MISMATCH', text, { details: { run, seq, machine, from, given: oids(lineage) } })
}

/** A machine as an error calls it. */
export function nameOf(oid: string, lineage: Lineage): string {
  const record = lineage.record(oid)
  const short = oid.slice(0, 12)
  return record === undefined ? short : `${record.id} ${record.version} (${short})`
}

/** The machines that were given, as an error lists them. */
export function given({ programs }: Lineage): string {
  return programs.map(({ record }) => `${record.id} ${record.version} (${record.oid.slice(0, 12)})`).join(', ')
}

/** Their commits. */
export function oids({ programs }: Lineage): readonly string[] {
  return programs.map(({ record }) => record.oid)
}

/** How many changes of a definition an error's text lists; its details have all. */
const listed = 5

/** The error of a run that none of the machines can go on with. */
export function refused(head: RunHead, lineage: Lineage): XMachinesError {
  const { run, machine } = head
  const diff = changesSince(machine, lineage)
  const more = diff.length > listed ? `; ${diff.length - listed} more in details.diff` : ''
  const changes = diff.length === 0 ? '' : ` What differs: ${diff.slice(0, listed).join('; ')}${more}.`
  const text = `Run ${run} belongs to machine ${nameOf(machine, lineage)}, and none of the machines that were given is that one: ${given(lineage)}.${changes} If that one is older, pass it too, as a list [new, old] (to a command: --machine NEW --machine OLD); or declare in \`migrations\` how its runs go over; or fork the run with it. If it is newer, give it to this process.`
  return new XMachinesError('MACHINE_MISMATCH', text, { details: { run, machine, given: oids(lineage), diff } })
}

/** What the first machine that was given has changed. */
function changesSince(machine: string, lineage: Lineage): readonly string[] {
  const before = lineage.record(machine)
  if (before === undefined) return []
  const { id, version, definition } = lineage.programs[0].record
  return [
    ...(before.id === id ? [] : [`id '${before.id}' is '${id}'`]),
    ...(before.version === version ? [] : [`version '${before.version}' is '${version}'`]),
    ...definitionChanges(before.definition, definition),
  ]
}

/** The error of a state that has to be mapped, and is not known without its machine. */
export function unknownPast(head: RunHead, lineage: Lineage): XMachinesError {
  const { run, machine } = head
  const text = `Run ${run} is to go over from machine ${nameOf(machine, lineage)} to ${given(lineage)} by its state, which only the old machine can tell. Pass that machine as \`from\` of the migration, or declare \`event\`.`
  return new XMachinesError('MACHINE_MISMATCH', text, { details: { run, machine, given: oids(lineage) } })
}

/** The error of a history that is to be decided from its beginning, whose first events nothing maps. */
export function unmappedPast(head: RunHead, machine: string, lineage: Lineage): XMachinesError {
  const { run } = head
  const [target] = lineage.programs
  const { id, version, oid } = target.record
  const text = `Run ${run} is to go over from machine ${nameOf(head.machine, lineage)} to ${id} ${version} (${oid.slice(0, 12)}) by its events, which decides all of its history anew. That begins with machine ${nameOf(machine, lineage)}, and no migration by \`event\` leads from there: declare one, too, or map the state with \`state\`.`
  return new XMachinesError('MACHINE_MISMATCH', text, { details: { run, machine, given: oids(lineage) } })
}

/** The error of a run that is in memory with a machine that was not given. */
export function inUse(run: string, { id, version, oid }: MachineRecord, lineage: Lineage): XMachinesError {
  const text = `Run ${run} is open in this process with machine ${id} ${version} (${oid.slice(0, 12)}), which is not among those that were given: ${given(lineage)}. Close it there first, or pass that machine too.`
  return new XMachinesError('MACHINE_MISMATCH', text, { details: { run, machine: oid, given: oids(lineage) } })
}
