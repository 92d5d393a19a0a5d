import type { Program } from '../machine/program.ts'
import type { Versions } from '../run/versions.ts'

/** The runs of a namespace, and the versions of the machine that they are of, the one for new runs first. */
export interface Ward {
  readonly namespace: string
  readonly programs: Versions
}

/**
 * The child runs of a list of machines: those whose id is another than the first one's, each in the namespace of its id.
 * @param own namespaces that are looked after anyway
 */
export function childWards(programs: Versions, own: readonly string[]): readonly Ward[] {
  const children = new Map<string, [Program, ...Program[]]>()
  for (const program of programs) {
    const { id } = program.record
    if (id === programs[0].record.id || own.includes(id)) continue
    const versions = children.get(id)
    if (versions === undefined) children.set(id, [program])
    else versions.push(program)
  }
  return [...children].map(([namespace, versions]) => ({ namespace, programs: versions }))
}
