// Prints the Lua scripts of the packages in a folder, as each package itself puts them together.
// Usage: node scripts.js FOLDER_OF_NODE_MODULES
const fs = require('fs');
const path = require('path');

const folder = path.resolve(process.argv[2], 'node_modules');
const inside = (...names) => path.join(folder, ...names);

// Modules of one script each: { name, content }.
function ofModules(directory) {
  const found = {};
  for (const file of fs.readdirSync(directory).filter((file) => file.endsWith('.js'))) {
    for (const script of Object.values(require(path.join(directory, file)))) {
      if (script && typeof script.content === 'string') found[script.name] = script.content;
    }
  }
  return found;
}

function ofFiles(directory) {
  const files = fs.readdirSync(directory).filter((file) => file.endsWith('.lua'));
  const read = (file) => fs.readFileSync(path.join(directory, file), 'utf8');
  return Object.fromEntries(files.map((file) => [path.basename(file, '.lua'), read(file)]));
}

function ofBottleneck() {
  const scripts = require(inside('bottleneck', 'lib', 'Scripts.js'));
  return Object.fromEntries(scripts.names.map((name) => [name, scripts.payload(name)]));
}

const scripts = {
  'bee-queue': ofFiles(inside('bee-queue', 'lib', 'lua')),
  bottleneck: ofBottleneck(),
  bull: ofModules(inside('bull', 'lib', 'scripts')),
  bullmq: ofModules(inside('bullmq', 'dist', 'cjs', 'scripts')),
};
process.stdout.write(JSON.stringify(scripts));
