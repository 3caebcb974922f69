// What time it is, to the second: ages on the page follow it.

export const clock = $state({ now: Date.now() })
setInterval(() => {
  if (!document.hidden) clock.now = Date.now()
}, 1000)
document.addEventListener('visibilitychange', () => (clock.now = Date.now()))
