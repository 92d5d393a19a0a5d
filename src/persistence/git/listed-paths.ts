const escapes: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }
const listed = {
  '\n': /"((?:[^"\\]|\\.)*)"(?=\n|$)|[^\n]+/g,
  ':': /"((?:[^"\\]|\\.)*)"(?=:|$)|[^:]+/g,
  ';': /"((?:[^"\\]|\\.)*)"(?=;|$)|[^;]+/g,
}

/**
 * The folders that Git lists in a file or a variable. One that could be misread is quoted as in C, and may hold the
 * separator: that of a repository whose path has a colon.
 */
export function listedPaths(text: string, separator: keyof typeof listed): readonly string[] {
  return [...text.matchAll(listed[separator])]
    .filter(([entry]) => !entry.startsWith('#'))
    .map(([entry, quoted]) => (quoted === undefined ? entry : unquoted(quoted)))
}

/** What stands in octal digits are bytes, not characters. */
function unquoted(text: string): string {
  const bytes = Buffer.from(text)
    .toString('latin1')
    .replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (escapes[code] ?? code),
    )
  return Buffer.from(bytes, 'latin1').toString()
}
