import { Option } from 'commander'

/** `--object-format`: the hash of a store that is new. */
export function objectFormatOption(): Option {
  return new Option('--object-format <hash>', 'the hash of the ids, of a new store').choices(['sha1', 'sha256'])
}
