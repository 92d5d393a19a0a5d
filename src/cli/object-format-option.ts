import { Option } from 'commander'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { XMachinesError } from '../actors/errors.ts'

/** `--object-format`: the hash of a store that is new. */
export function objectFormatOption(): Option {
  return new Option('--object-format <hash>', 'the hash of the ids, of a new store').choices(['sha1', 'sha256'])
}

/** What is brought from elsewhere keeps its ids. @throws OBJECT_FORMAT_MISMATCH where the option asks for others */
export function checkObjectFormat(asked: ObjectFormat | undefined, brought: ObjectFormat): void {
  if (asked === undefined || asked === brought) return
  const text = `The ids of what is brought are ${brought}, and stay so: they cannot become ${asked}. Leave out --object-format.`
  throw new XMachinesError('OBJECT_FORMAT_MISMATCH', text, { details: { objectFormat: brought } })
}
