import type { MachineRecord } from '../../actors/contracts/store.ts'
import type { GitObjectType } from '../../actors/identity/git-objects.ts'
import { machineId } from '../../actors/identity/index.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { readWhole } from './branch.ts'
import { parseCommit, parseTree } from './commit.ts'
import { badMachine } from './failures.ts'
import { digitsOf } from './layout.ts'
import type { Repository } from './repository.ts'

/** Reads a machine version. `undefined`: the repository has not got it, or it is none. @throws COMMIT_DAMAGED */
export function readMachine(repository: Repository, machine: string): MachineRecord | undefined {
  const { objectFormat } = repository
  const read = (oid: string, type: GitObjectType): Uint8Array => {
    const what = oid === machine ? 'it' : `its ${type} ${oid}`
    return readWhole(repository, oid, type, wrong => badMachine(machine, `${what} ${wrong}`, { object: oid }))
  }
  if (!mayBeCommit(repository, machine)) return undefined
  const commit = parseCommit(read(machine, 'commit'))
  const file = commit && parseTree(read(commit.tree, 'tree'), digitsOf[objectFormat] / 2)?.get('machine.json')
  if (file === undefined) return undefined
  const bytes = read(file, 'blob')
  try {
    const { id, version, definition } = JSON.parse(Buffer.from(bytes).toString()) as MachineRecord
    const record = { oid: machine, id, version, definition }
    return machineId(objectFormat, record) === machine ? deepFreeze(record) : undefined
  } catch {
    // A commit of somebody else, with a file of that name.
    return undefined
  }
}

function mayBeCommit({ objects }: Repository, oid: string): boolean {
  try {
    return objects.read(oid)?.type === 'commit'
  } catch {
    return true // Reading it tells what is wrong.
  }
}
