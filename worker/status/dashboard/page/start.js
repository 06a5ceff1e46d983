// The page is drawn before its scripts are asked for: the first paint had to share connections and processor with them,
// and came half as late again without (npm run bench -- dashboard).
requestAnimationFrame(() =>
  setTimeout(() => {
    document.head.append(document.querySelector("#scripts").content);
    void import("./page.js");
  }),
);
