export const answer = 42
export const names = ['a']
