const longest = 100
/** What a terminal would act upon instead of showing it: control characters, direction marks, line and paragraph ends. */
const unshowable = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu

/** One line for `git log`, made of texts from outside: nothing in it moves a cursor, and a long one is cut. */
export function commitSubject(text: string): string {
  const head = text.length > longest ? text.slice(0, longest + 1) : text
  const line = head.replace(unshowable, escaped)
  if (line.length <= longest) return line
  const cut = line.slice(0, longest - 1)
  // A pair of surrogates that the cut went through loses its first half too.
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`
}

/** A list on one line, no further than it will be shown. */
export function joinForSubject(start: string, items: Iterable<string>): string {
  let text = start
  let separator = ' '
  for (const item of items) {
    text += separator + item.slice(0, longest + 1)
    if (text.length > longest) break
    separator = ', '
  }
  return text
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
