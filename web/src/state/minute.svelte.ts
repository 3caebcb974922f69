// What minute it is, for what is made of many records and therefore not anew each second: the page that shows it says it.

export const minute = $state({ now: Date.now() })
