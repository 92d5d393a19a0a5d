/** Where a repository is: its working directory (or a bare repository), or its Git directory. */
export type RepositoryPlace =
  | { readonly dir: string; readonly gitdir?: undefined }
  | { readonly gitdir: string; readonly dir?: undefined }

/** @throws TypeError */
export function checkPlace(place: { readonly dir: string | undefined; readonly gitdir: string | undefined }): void {
  const { dir, gitdir } = place
  const given = gitdir ?? dir
  if (typeof given === 'string' && given !== '' && (dir === undefined || gitdir === undefined)) return
  throw new TypeError(`Expected one of \`dir\` and \`gitdir\` to be a path, got ${JSON.stringify(place)}.`)
}
