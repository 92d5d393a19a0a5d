import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The members of one kind of line. */
interface Shape {
  readonly always: readonly string[]
  readonly sometimes: readonly string[]
}

/** By heading: what docs/json.md says that a command prints. */
const documented = new Map(
  readFileSync(fileURLToPath(new URL('../../docs/json.md', import.meta.url)), 'utf8')
    .split(/^## /m)
    .slice(1)
    .map(section => [/^`?([^`\n]+)/.exec(section)![1]!, section.split('| Member | |').slice(1).map(shapeOf)] as const),
)

/** The commands that it has a section of. */
export const documentedCommands: readonly string[] = [...documented.keys()]

/** Lines that a command printed with `--json` are as docs/json.md says. @throws an Error with the line that is not */
export function checkLines(args: readonly string[], stdout: string): void {
  if (!args.includes('--json') || args.includes('--inspect')) return
  const shapes = [...(documented.get(args[0]!) ?? []), ...documented.get('Runs that are left out')!]
  // What a command had said when it was ended need not end with a line.
  for (const line of stdout.split('\n').slice(0, -1)) {
    const members = Object.keys(JSON.parse(line) as object)
    const fits = ({ always, sometimes }: Shape): boolean =>
      always.every(name => members.includes(name)) &&
      members.every(name => always.includes(name) || sometimes.includes(name))
    if (!shapes.some(fits)) throw new Error(`docs/json.md knows of no such line of \`${args[0]}\`: ${line}`)
  }
}

/** What a table names in its first column. */
function shapeOf(table: string): Shape {
  const rows = table
    .split('\n\n')[0]!
    .split('\n')
    .filter(row => row.startsWith('| `'))
  const names = rows.flatMap(row => [...row.split(' | ')[0]!.matchAll(/`(\w+\??)`/g)].map(match => match[1]!))
  return {
    always: names.filter(name => !name.endsWith('?')),
    sometimes: names.filter(name => name.endsWith('?')).map(name => name.slice(0, -1)),
  }
}
