/** A configuration as Git writes it: the last value of each `section.name`, both in lower case; subsections as they are. */
export function parseConfig(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  let section = ''
  for (const line of text.split('\n')) {
    const head = /^\s*\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]/.exec(line)
    if (head !== null) section = head[2] === undefined ? head[1]!.toLowerCase() : `${head[1]!.toLowerCase()}.${head[2]}`
    const value = /^\s*([A-Za-z][\w-]*)\s*(?:=(.*))?$/s.exec(head === null ? line : line.slice(head[0].length))
    if (value !== null) values.set(`${section}.${value[1]!.toLowerCase()}`, plain(value[2]?.trim() ?? 'true'))
  }
  return values
}

/** A value without its quotes and without the comment behind it. */
function plain(value: string): string {
  const bare = value.replace(/("(?:[^"\\]|\\.?)*(?:"|$))|[#;].*$/g, (_, quoted: string | undefined) => quoted ?? '')
  return bare.trimEnd().replace(/\\(.)|"/g, '$1')
}
