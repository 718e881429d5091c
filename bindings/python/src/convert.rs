//! Python objects to the engine's byte slices, and replies to Python objects.
//!
//! On the way in nothing is copied that cannot change: `bytes` and `str` are read in place, kept
//! alive by the tuple they came in. What another thread could write to while the interpreter's
//! lock is free (`bytearray`, `memoryview`) is copied once.

use crate::errors;
use moonkv::{Item, Protocol, ReplyBuf, Walker};
use pyo3::exceptions::{PyTypeError, PyUnicodeDecodeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PySet, PyString,
    PyTuple,
};
use smallvec::SmallVec;

/// One argument as bytes.
pub(crate) enum Argument<'a, 'py> {
    /// Read in place.
    Lent(&'a [u8]),
    /// Made for this call.
    Made(Bound<'py, PyBytes>),
}

impl Argument<'_, '_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Argument::Lent(bytes) => bytes,
            Argument::Made(bytes) => bytes.as_bytes(),
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Argument<'a, 'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Some(bytes) = lent(object)? {
            return Ok(Argument::Lent(bytes));
        }
        if let Some(bytes) = number(&object)? {
            return Ok(Argument::Made(bytes));
        }
        if object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>() {
            return Ok(Argument::Made(
                object.py().get_type::<PyBytes>().call1((object,))?.cast_into()?,
            ));
        }
        let kind = object.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "an argument must be bytes, bytearray, memoryview, str, int or float, not {kind}"
        )))
    }
}

/// The bytes of what is read in place; none of anything else.
fn lent<'a>(object: Borrowed<'a, '_, PyAny>) -> PyResult<Option<&'a [u8]>> {
    if object.is_instance_of::<PyBytes>() {
        return object.extract().map(Some).map_err(Into::into);
    }
    if object.is_instance_of::<PyString>() {
        return Ok(Some(object.extract::<&str>()?.as_bytes()));
    }
    Ok(None)
}

/// Arguments that are read in place.
type Slices<'a> = SmallVec<[&'a [u8]; 6]>;

/// Collects a tuple's arguments, and tells whether all of them are read in place.
fn collect<'a>(tuple: &'a Bound<'_, PyTuple>, slices: &mut Slices<'a>) -> PyResult<bool> {
    for object in tuple.iter_borrowed() {
        match lent(object)? {
            Some(bytes) => slices.push(bytes),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Works with a tuple's arguments. Those that are read in place, as most are, are walked once.
pub(crate) fn lend<R>(
    tuple: &Bound<'_, PyTuple>,
    work: impl FnOnce(&[&[u8]]) -> PyResult<R>,
) -> PyResult<R> {
    let mut slices = Slices::new();
    if collect(tuple, &mut slices)? {
        return work(&slices);
    }
    work(&Arguments::of(tuple)?.slices())
}

/// An int in decimal digits, a float in the shortest digits that read back the same.
fn number<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let py = object.py();
    // A bool is an int to Python; to a data store it is a mistake.
    if object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>() {
        if let Ok(value) = object.extract::<i64>() {
            let mut digits = itoa::Buffer::new();
            return Ok(Some(PyBytes::new(py, digits.format(value).as_bytes())));
        }
        let text = py.get_type::<PyInt>().call1((object,))?.str()?;
        return Ok(Some(PyBytes::new(py, text.to_str()?.as_bytes())));
    }
    if object.is_instance_of::<PyFloat>() {
        // Through a plain float: a subclass may have a repr of its own.
        let text = PyFloat::new(py, object.extract()?).repr()?;
        return Ok(Some(PyBytes::new(py, text.to_str()?.as_bytes())));
    }
    Ok(None)
}

/// A script's text or a SHA-1: as an [`Argument`], but no number.
pub(crate) struct Text<'a, 'py>(Argument<'a, 'py>);

impl Text<'_, '_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Text<'a, 'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyInt>() || object.is_instance_of::<PyFloat>() {
            let kind = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!("must be str or bytes, not {kind}")));
        }
        Argument::extract(object).map(Text)
    }
}

/// KEYS or ARGV of a script. A list is taken as a tuple, because another thread may change it
/// during the call.
pub(crate) struct Sequence<'py>(Option<Bound<'py, PyTuple>>);

impl Sequence<'_> {
    pub(crate) const EMPTY: Self = Sequence(None);
}

impl<'py> Sequence<'py> {
    fn arguments<'a>(&'a self) -> PyResult<Arguments<'a, 'py>> {
        self.0.as_ref().map_or_else(|| Ok(Arguments::default()), Arguments::of)
    }

    fn collect<'a>(&'a self, slices: &mut Slices<'a>) -> PyResult<bool> {
        self.0.as_ref().map_or(Ok(true), |tuple| collect(tuple, slices))
    }

    /// Works with it as a command.
    pub(crate) fn lend<R>(&self, work: impl FnOnce(&[&[u8]]) -> PyResult<R>) -> PyResult<R> {
        match &self.0 {
            Some(tuple) => lend(tuple, work),
            None => work(&[]),
        }
    }

    /// Works with it as KEYS and another one as ARGV.
    pub(crate) fn lend_with<R>(
        &self,
        args: &Self,
        work: impl FnOnce(&[&[u8]], &[&[u8]]) -> PyResult<R>,
    ) -> PyResult<R> {
        let (mut key_slices, mut arg_slices) = (Slices::new(), Slices::new());
        if self.collect(&mut key_slices)? && args.collect(&mut arg_slices)? {
            return work(&key_slices, &arg_slices);
        }
        let (keys, args) = (self.arguments()?, args.arguments()?);
        work(&keys.slices(), &args.slices())
    }
}

impl<'py> FromPyObject<'_, 'py> for Sequence<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return Ok(Sequence(Some(tuple.to_owned())));
        }
        if let Ok(list) = object.cast::<PyList>() {
            return Ok(Sequence(Some(list.to_tuple())));
        }
        // Each of these would fall apart into letters or numbers.
        let text = object.is_instance_of::<PyString>()
            || object.is_instance_of::<PyBytes>()
            || object.is_instance_of::<PyByteArray>()
            || object.is_instance_of::<PyMemoryView>();
        if text || object.try_iter().is_err() {
            let kind = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "must be a tuple, a list or another iterable of arguments, not {kind}"
            )));
        }
        let tuple = object.py().get_type::<PyTuple>().call1((object,))?;
        Ok(Sequence(Some(tuple.cast_into()?)))
    }
}

/// Several arguments of one call.
#[derive(Default)]
pub(crate) struct Arguments<'a, 'py>(SmallVec<[Argument<'a, 'py>; 6]>);

impl<'a, 'py> Arguments<'a, 'py> {
    pub(crate) fn of(tuple: &'a Bound<'py, PyTuple>) -> PyResult<Self> {
        tuple.iter_borrowed().map(Argument::extract).collect::<PyResult<_>>().map(Arguments)
    }

    pub(crate) fn slices(&self) -> Slices<'_> {
        self.0.iter().map(Argument::as_bytes).collect()
    }
}

/// How replies look in Python.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) protocol: Protocol,
    /// Strings are `str` rather than `bytes`.
    pub(crate) decode: bool,
}

type Objects<'py> = SmallVec<[Bound<'py, PyAny>; 16]>;

/// What a container becomes.
#[derive(Clone, Copy)]
enum Shape {
    List,
    Dict,
    Set,
}

/// A container whose elements are being collected.
struct Open {
    shape: Shape,
    /// Where its elements begin among the objects.
    start: usize,
    /// How many objects there are once it is full.
    end: usize,
}

/// One step of a walk.
enum Step<'py> {
    Object(Bound<'py, PyAny>),
    Container(Shape, usize),
}

impl Style {
    /// A reply as a Python object, an error reply as an exception.
    pub(crate) fn reply<'py>(
        self,
        py: Python<'py>,
        reply: &ReplyBuf,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut walker = reply.walk(self.protocol);
        if reply.is_error()
            && let Item::Error(text) = walker.next()
        {
            return Err(errors::failure(py, text, reply.traceback()));
        }
        match self.step(py, walker.next())? {
            Step::Object(object) => Ok(object),
            Step::Container(shape, len) => self.container(py, &mut walker, shape, len),
        }
    }

    /// Collects a container and all within it. No recursion: how deep a reply nests is the
    /// script's choice, how large the thread's stack is not ours.
    fn container<'py>(
        self,
        py: Python<'py>,
        walker: &mut Walker<'_>,
        shape: Shape,
        len: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut objects = Objects::with_capacity(len);
        let mut open = SmallVec::<[Open; 4]>::new();
        open.push(Open { shape, start: 0, end: len });
        while let Some(innermost) = open.last() {
            if objects.len() == innermost.end {
                let object = innermost.shape.close(py, &mut objects, innermost.start)?;
                open.pop();
                objects.push(object);
                continue;
            }
            match self.step(py, walker.next())? {
                Step::Object(object) => objects.push(object),
                Step::Container(shape, len) => {
                    open.push(Open { shape, start: objects.len(), end: objects.len() + len });
                }
            }
        }
        Ok(objects.pop().unwrap_or_else(|| py.None().into_bound(py)))
    }

    fn step<'py>(self, py: Python<'py>, item: Item<'_>) -> PyResult<Step<'py>> {
        let object = match item {
            Item::Array(len) | Item::Push(len) => return Ok(Step::Container(Shape::List, len)),
            Item::Map(len) => return Ok(Step::Container(Shape::Dict, len * 2)),
            Item::Set(len) => return Ok(Step::Container(Shape::Set, len)),
            Item::Bulk(text) => self.text(py, text)?,
            Item::Verbatim(text) => self.text(py, text.get(4..).unwrap_or_default())?,
            Item::Integer(value) => value.into_pyobject(py)?.into_any(),
            Item::Double(value) => value.into_pyobject(py)?.into_any(),
            Item::Boolean(value) => value.into_pyobject(py)?.to_owned().into_any(),
            Item::BigNumber(digits) => big_number(py, digits)?,
            Item::Status(b"OK") => intern!(py, "OK").to_owned().into_any(),
            Item::Status(text) => lossy(py, text),
            Item::Error(text) => errors::response(text).into_value(py).into_bound(py).into_any(),
            _ => py.None().into_bound(py),
        };
        Ok(Step::Object(object))
    }

    /// A string.
    pub(crate) fn text<'py>(self, py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if !self.decode {
            return Ok(PyBytes::new(py, text).into_any());
        }
        match std::str::from_utf8(text) {
            Ok(text) => Ok(PyString::new(py, text).into_any()),
            Err(error) => Err(PyUnicodeDecodeError::new_utf8(py, text, error)?.into()),
        }
    }
}

impl Shape {
    /// Takes the objects from `start` on into the finished container.
    fn close<'py>(
        self,
        py: Python<'py>,
        objects: &mut Objects<'py>,
        start: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let elements = objects.get(start..).unwrap_or_default();
        let hashed = match self {
            Shape::List => None,
            Shape::Dict => hashable(py, dict(py, elements))?,
            Shape::Set => hashable(py, PySet::new(py, elements).map(Bound::into_any))?,
        };
        let object = match (hashed, self) {
            (Some(object), _) => object,
            (None, Shape::Dict) => pairs(py, elements)?,
            (None, _) => return Ok(PyList::new(py, objects.drain(start..))?.into_any()),
        };
        objects.truncate(start);
        Ok(object)
    }
}

/// None where an element was a list, a dict or a set, which Python cannot hash.
fn hashable<'py>(
    py: Python<'py>,
    made: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match made {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(None),
        made => made.map(Some),
    }
}

fn dict<'py>(py: Python<'py>, elements: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    for pair in elements.chunks_exact(2) {
        if let [key, value] = pair {
            dict.set_item(key, value)?;
        }
    }
    Ok(dict.into_any())
}

fn pairs<'py>(py: Python<'py>, elements: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>> {
    let pairs = PyList::empty(py);
    for pair in elements.chunks_exact(2) {
        pairs.append(PyTuple::new(py, pair)?)?;
    }
    Ok(pairs.into_any())
}

/// A script may call any text a big number; what Python's int refuses stays a str.
fn big_number<'py>(py: Python<'py>, digits: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let text = lossy(py, digits);
    Ok(py.get_type::<PyInt>().call1((&text,)).unwrap_or(text))
}

fn lossy<'py>(py: Python<'py>, text: &[u8]) -> Bound<'py, PyAny> {
    PyString::new(py, &String::from_utf8_lossy(text)).into_any()
}
