// What is asked of a browser, where there is none: it is that of somebody who has set nothing, by daylight, and looks at a shared page,
// which asks for nothing early.
Object.assign(globalThis, {
  matchMedia: () => ({ matches: false, addEventListener: () => undefined }),
  location: { pathname: '/share/unit' },
  document: { documentElement: { dataset: {} } }
})
