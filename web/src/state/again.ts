// Asking again and again, where nothing is told by itself.

/** Who is asked rests so many times as long as the answer took, within reason: a server that is slow is asked less often. */
const REST = 10
const REST_MS_MAX = 60_000

/** Does something again and again while the tab is seen. What is given back ends it. */
export function again(work: () => Promise<unknown>, everyMs: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let isOver = false
  const wait = (ms: number) => {
    if (!isOver) timer = setTimeout(() => void turn(), ms)
  }
  async function turn() {
    const begun = performance.now()
    try {
      if (!document.hidden) await work()
    } finally {
      wait(Math.max(everyMs, Math.min(REST_MS_MAX, REST * (performance.now() - begun))))
    }
  }
  wait(everyMs)
  return () => {
    isOver = true
    clearTimeout(timer)
  }
}
