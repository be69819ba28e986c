/** The classes of AVSBench's semantic setting. */

const names = `
  background accordion airplane axe baby bassoon bell bird boat boy bus car cat cello clarinet clipper
  clock dog donkey drum duck elephant emergency-car erhu flute frying-food girl goose guitar gun guzheng
  hair-dryer handpan harmonica harp helicopter hen horse keyboard leopard lion man marimba
  missile-rocket motorcycle mower parrot piano pig pipa saw saxophone sheep sitar sorna squirrel tabla
  tank tiger tractor train trombone truck trumpet tuba ukulele utv vacuum-cleaner violin wolf woman
`;

/** The 71 class names of AVSS by index, as its `label2idx.json` has them; 0 is the background. */
export const avssClasses: readonly string[] = names.trim().split(/\s+/);
